"""Admin pages of what one can buy: accelerators, instance types, prices, availability, MIG profiles.

Columns say their units; a price is never overwritten, and a new one goes through ``catalog_services``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localdate

from planner.catalog.admin.base import PROVENANCE, CatalogAdmin, OriginFilter, figure
from planner.catalog.changes.models import AcceptanceRule
from planner.catalog.facts.records import DEFAULT_REGIONS
from planner.catalog.models import Accelerator, Availability, InstanceType, MigProfile, Price
from planner.catalog.services import record_price


def shown_usd(usd: Decimal) -> str:
    """As listed: two decimals at least, more where the list has more."""
    return f"{usd.normalize():f}" if usd != round(usd, 2) else f"{usd:.2f}"


def region_field(field: Any) -> forms.ChoiceField:
    """Regions as a select: those that the catalog has; a new one comes with availability or an import."""
    known = set(DEFAULT_REGIONS.values())
    known |= set(Availability.objects.values_list("region", flat=True).distinct())
    known |= set(Price.objects.values_list("region", flat=True).distinct())
    return forms.ChoiceField(
        label=field.verbose_name.capitalize(),
        choices=[("", "---------"), *((name, name) for name in sorted(known))],
        required=True,
    )


class InForceFilter(admin.SimpleListFilter):
    """Prices that hold today, or that ended."""

    title = "in force"
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "today"), ("no", "not today")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        today = localdate()
        holds = Q(valid_from__lte=today, withdrawn=False) & (Q(valid_to__isnull=True) | Q(valid_to__gt=today))
        return {"yes": queryset.filter(holds), "no": queryset.exclude(holds)}.get(
            self.value() or "", queryset
        )


class PricesInForceInline(admin.TabularInline[Price, InstanceType]):
    """Prices that hold; what changes about one is changed on its own page, which its region leads to."""

    model = Price
    fields: ClassVar[Any] = ("where", "purchase", "usd", "valid_from", "as_of", "note")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        held = super().get_queryset(request).filter(valid_to=None, withdrawn=False)
        return held.order_by("region", "purchase")

    @admin.display(description="region")
    def where(self, row: Price) -> SafeString:
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:planner_price_change", args=[row.pk]), row.region
        )

    @admin.display(description="USD per hour")
    def usd(self, row: Price) -> str:
        return shown_usd(row.usd_per_hour)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PricesHereInline(PricesInForceInline):
    """Those that a plan takes where no region is named."""

    verbose_name_plural = "prices in force in the provider's default region"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        return super().get_queryset(request).filter(region__in=list(DEFAULT_REGIONS.values()))


class PricesElsewhereInline(PricesInForceInline):
    """Those of all other regions, folded away."""

    verbose_name_plural = "prices in force in other regions (the list of prices has those that ended)"
    classes = ("collapse",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        return super().get_queryset(request).exclude(region__in=list(DEFAULT_REGIONS.values()))


class NewPriceInline(admin.TabularInline[Price, InstanceType]):
    """A price to add: the one of the same kind before it ends on the day this one begins."""

    model = Price
    verbose_name_plural = "new prices (the one of the same kind before ends on the day a new one begins)"
    fields = ("region", "purchase", "usd_per_hour", "valid_from", "source", "as_of")
    extra = 1
    can_delete = False

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "source":
            kwargs["widget"] = AdminTextareaWidget(attrs={"rows": 1, "cols": 30, "class": ""})
        if db_field.name == "region":
            return region_field(db_field)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        return super().get_queryset(request).none()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Accelerator)
class AcceleratorAdmin(CatalogAdmin):
    list_display = (
        "name",
        "slug",
        figure(Accelerator, "memory_mib"),
        figure(Accelerator, "memory_bandwidth_gb_per_s"),
        figure(Accelerator, "bf16_tflops"),
        figure(Accelerator, "fp8_tflops"),
        figure(Accelerator, "link_gb_per_s_per_direction"),
        "mig_capable",
        "as_of",
        "state",
    )
    list_filter = ("vendor", "architecture", "mig_capable", OriginFilter, "withdrawn")
    search_fields = ("slug", "name", "architecture", "source")
    fieldsets = (
        (
            None,
            {"fields": ("slug", "name", "vendor", "architecture", "ranks_per_accelerator", "power_watts")},
        ),
        ("Memory", {"fields": ("memory_mib", "label_gb", "memory_bandwidth_gb_per_s")}),
        (
            "Dense peak rates (empty: no such unit)",
            {
                "fields": (
                    ("fp32_tflops", "tf32_tflops"),
                    ("bf16_tflops", "fp16_tflops"),
                    ("fp8_tflops", "fp4_tflops", "int8_tops"),
                )
            },
        ),
        ("Link and partitions", {"fields": ("link", "link_gb_per_s_per_direction", "mig_capable")}),
        PROVENANCE,
    )


@admin.register(InstanceType)
class InstanceTypeAdmin(CatalogAdmin):
    list_display = (
        "slug",
        "provider_slug",
        "chips",
        "figure_node_memory",
        figure(InstanceType, "internode_gbit_per_s"),
        "figure_on_demand",
        figure(InstanceType, "host_memory_gib"),
        "as_of",
        "state",
    )
    list_filter = ("provider", "accelerator", OriginFilter, "withdrawn")
    list_select_related = ("accelerator",)
    search_fields = ("slug", "family", "accelerator__name", "accelerator__slug", "source")
    inlines = (PricesHereInline, NewPriceInline, PricesElsewhereInline)
    fieldsets = (
        (None, {"fields": ("slug", "provider", "family", "accelerator", "accelerators_per_node")}),
        ("Network and link", {"fields": ("internode_gbit_per_s", "link_gb_per_s_per_direction")}),
        (
            "Host",
            {"fields": ("vcpus", "host_memory_gib", "local_storage_gb", "ultracluster_max_accelerators")},
        ),
        PROVENANCE,
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[InstanceType]:
        """With the on-demand price in force in the provider's default region."""
        listed = Price.objects.filter(
            instance_type=OuterRef("slug"),
            region__in=list(DEFAULT_REGIONS.values()),
            purchase="on_demand",
            withdrawn=False,
            valid_to=None,
        ).order_by("-valid_from")
        rows: QuerySet[InstanceType] = super().get_queryset(request)
        return rows.annotate(usd=Subquery(listed.values("usd_per_hour")[:1]))

    @admin.display(description="provider", ordering="provider")
    def provider_slug(self, row: InstanceType) -> str:
        return row.provider

    @admin.display(description="accelerators", ordering="accelerator__name")
    def chips(self, row: InstanceType) -> str:
        return f"{row.accelerators_per_node} x {row.accelerator.name}"

    @admin.display(description="on demand (USD/h)", ordering="usd", empty_value="not listed")
    def figure_on_demand(self, row: Any) -> str | None:
        return None if row.usd is None else f"{row.usd:,.2f}"

    @admin.display(description="their memory (GiB)")
    def figure_node_memory(self, row: InstanceType) -> str:
        return f"{row.accelerators_per_node * row.accelerator.memory_mib / 1024:,.0f}"

    def save_formset(
        self, request: HttpRequest, form: ModelForm[Any], formset: BaseModelFormSet[Any, Any], change: bool
    ) -> None:
        for price in formset.save(commit=False):
            record_price(price)
        formset.save_m2m()


@admin.register(Price)
class PriceAdmin(CatalogAdmin):
    list_display = (
        "instance",
        "region",
        "purchase",
        "figure_usd",
        "figure_per_accelerator",
        "valid_from",
        "valid_to",
        "as_of",
        "state",
    )
    list_filter = (InForceFilter, "purchase", "instance_type__provider", "region", OriginFilter, "withdrawn")
    list_select_related = ("instance_type",)
    search_fields = ("instance_type__slug", "region", "source")
    date_hierarchy = "valid_from"
    fixed = ("usd_per_hour",)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "region":
            return region_field(db_field)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    fieldsets = (
        (
            None,
            {
                "fields": (
                    "instance_type",
                    "region",
                    "purchase",
                    "usd_per_hour",
                    "usd_per_hour_low",
                    "usd_per_hour_high",
                    "payment_option",
                    "negotiated",
                ),
                "description": "A price is not written over, so that past plans can be looked at again: a "
                "new one is added, and the one of the same kind before it ends on the day it begins.",
            },
        ),
        ("In force", {"fields": ("valid_from", "valid_to")}),
        PROVENANCE,
    )

    @admin.display(description="instance type", ordering="instance_type")
    def instance(self, row: Price) -> str:
        return row.instance_type_id

    @admin.display(description="USD per hour", ordering="usd_per_hour")
    def figure_usd(self, row: Price) -> str:
        return shown_usd(row.usd_per_hour)

    @admin.display(description="USD per chip-hour")
    def figure_per_accelerator(self, row: Price) -> str:
        return f"{row.usd_per_hour / row.instance_type.accelerators_per_node:.4f}"

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            record_price(obj)


@admin.register(Availability)
class AvailabilityAdmin(CatalogAdmin):
    list_display = ("instance", "region", "zones", "as_of", "state")
    list_filter = ("instance_type__provider", "region", OriginFilter, "withdrawn")
    search_fields = ("instance_type__slug", "region", "zones")
    fieldsets = ((None, {"fields": ("instance_type", "region", "zones")}), PROVENANCE)

    @admin.display(description="instance type", ordering="instance_type")
    def instance(self, row: Availability) -> str:
        return row.instance_type_id


@admin.register(MigProfile)
class MigProfileAdmin(CatalogAdmin):
    list_display = (
        "profile",
        "chip",
        figure(MigProfile, "profile_id"),
        figure(MigProfile, "compute_slices"),
        figure(MigProfile, "memory_slices"),
        figure(MigProfile, "memory_mib"),
        figure(MigProfile, "max_instances"),
        "placement_starts",
        "min_driver",
        "state",
    )
    list_filter = ("accelerator", OriginFilter, "withdrawn")
    search_fields = ("profile", "accelerator__slug")
    fieldsets = (
        (None, {"fields": ("accelerator", "profile", "profile_id", "min_driver")}),
        ("Size", {"fields": ("compute_slices", "memory_slices", "memory_mib")}),
        (
            "Engines",
            {"fields": ("copy_engines", "decoders", "encoders", "jpeg_engines", "ofa_engines")},
        ),
        ("Placement", {"fields": ("max_instances", "placement_size", "placement_starts")}),
        PROVENANCE,
    )

    @admin.display(description="accelerator", ordering="accelerator")
    def chip(self, row: MigProfile) -> str:
        return row.accelerator_id


@admin.register(AcceptanceRule)
class AcceptanceRuleAdmin(admin.ModelAdmin[Any]):
    list_display = ("name", "source", "purchase", "most_change_percent", "new_rows", "active")
