"""Admin pages of the catalog: is this fact right, who says so, since when?

Columns say their units; what was shipped is shown beside what is kept here and cannot be changed; a changed
fact asks for its source; nothing that was shipped is deleted, only withdrawn. Pages read and write through
the models alone; a new price goes through ``catalog_services``.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localdate

from planner.catalog_rows import KEYS, model_record
from planner.catalog_services import record_price
from planner.contract.model import built_model
from planner.engine.errors import PlanError, PlanErrors
from planner.engine.params import count_parameters
from planner.models import (
    Accelerator,
    Availability,
    CatalogRow,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)

PROVENANCE: tuple[str, Any] = (
    "Where this is from",
    {"fields": ("source", "as_of", "note", "withdrawn", "as_shipped", "changed_at")},
)
MEGA = 1e6


class OriginFilter(admin.SimpleListFilter):
    """Shipped with the project, or added by people here."""

    title = "origin"
    parameter_name = "origin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("shipped", "shipped"), ("own", "added here")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(shipped__isnull=self.value() == "own")


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


class FactForm(forms.ModelForm[Any]):
    """A changed fact needs its own source: the one that is there spoke of the old value."""

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        facts = {name.removesuffix("_id") for name in getattr(self.instance, "FACTS", ())}
        changed = sorted(facts & set(self.changed_data))
        if self.instance.pk and changed and "source" in self.fields and "source" not in self.changed_data:
            self.add_error(
                "source",
                f"This source is that of the old value of {', '.join(changed)}. Say who gives the new one, "
                "and set the date it was as recorded.",
            )
        return cleaned


class CatalogAdmin(admin.ModelAdmin[Any]):
    """What the pages of all catalog tables share."""

    form = FactForm
    list_per_page = 100
    save_on_top = True
    readonly_fields: ClassVar[Any] = ("as_shipped", "changed_at")
    actions: Any = ["withdraw", "restore"]
    fixed: ClassVar[tuple[str, ...]] = ()
    """Fields that cannot change once the row is there, beside its key."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.readonly_fields
        keys = tuple(name.removesuffix("_id") for name in KEYS[type(obj)])
        return (*self.readonly_fields, *keys, *self.fixed)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows that people added may go; shipped ones are withdrawn: the next load would bring them back."""
        return obj is not None and obj.shipped is None and super().has_delete_permission(request, obj)

    @admin.display(description="edited here", boolean=True)
    def edited(self, row: CatalogRow) -> bool:
        return row.is_edited

    @admin.display(description="as shipped")
    def as_shipped(self, row: CatalogRow) -> SafeString | str:
        """The shipped facts where they differ, and the shipped source."""
        if row.shipped is None:
            return "Not shipped: added here."
        now = row.facts()
        differing = [name for name in row.shipped if row.shipped[name] != now.get(name)]
        source = format_html("{} (as of {})", row.shipped["source"], row.shipped["as_of"])
        if not differing:
            return format_html("As it is here. {}", source)
        lines = format_html_join(
            "",
            "<li>{}: shipped {}, here {}</li>",
            ((_words(name), _shown(row.shipped[name]), _shown(now.get(name))) for name in differing),
        )
        return format_html("{}<ul>{}</ul>", source, lines)

    @admin.action(description="Withdraw: keep for the record, leave out of plans", permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._set_withdrawn(request, queryset, withdrawn=True)

    @admin.action(description="Restore what was withdrawn", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._set_withdrawn(request, queryset, withdrawn=False)

    def _set_withdrawn(self, request: HttpRequest, queryset: QuerySet[Any], *, withdrawn: bool) -> None:
        word = "Withdrawn" if withdrawn else "Restored"
        changed = 0
        for row in queryset.exclude(withdrawn=withdrawn):
            row.withdrawn = withdrawn
            problems = _constraint_problems(row)
            if problems:
                self.message_user(request, f"{row}: {problems}", messages.ERROR)
                continue
            row.save()
            self.log_change(request, row, f"{word}.")
            changed += 1
        self.message_user(request, f"{word}: {changed}.", messages.SUCCESS)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """The history says from what to what, not only which field."""
        if add or not form.changed_data:
            return super().construct_change_message(request, form, formsets, add)
        changes = [
            f"{_words(name)} from {_shown(form.initial.get(name))} to {_shown(form.cleaned_data.get(name))}"
            for name in form.changed_data
        ]
        added = [str(row) for formset in formsets or () for row in getattr(formset, "new_objects", ())]
        return ". ".join([f"Changed {'; '.join(changes)}", *(f"Added {row}" for row in added)]) + "."


class PriceOnRecordInline(admin.TabularInline[Price, InstanceType]):
    """Prices there are, newest first; what changes about one is changed on its own page."""

    model = Price
    verbose_name_plural = "prices on record"
    fields = ("region", "purchase", "usd_per_hour", "valid_from", "valid_to", "source", "as_of", "withdrawn")
    readonly_fields = fields
    ordering = ("region", "purchase", "-valid_from")
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NewPriceInline(admin.TabularInline[Price, InstanceType]):
    """A price to add: the one of the same kind before it ends on the day this one begins."""

    model = Price
    verbose_name_plural = "new prices (the one of the same kind before ends on the day a new one begins)"
    fields = ("region", "purchase", "usd_per_hour", "valid_from", "source", "as_of", "note")
    formfield_overrides = {Price._meta.get_field("note").__class__: {"widget": forms.TextInput}}
    extra = 1
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        return super().get_queryset(request).none()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Accelerator)
class AcceleratorAdmin(CatalogAdmin):
    list_display = (
        "name",
        "slug",
        "architecture",
        "memory_mib",
        "memory_bandwidth_gb_per_s",
        "bf16_tflops",
        "fp8_tflops",
        "link",
        "link_gb_per_s_per_direction",
        "mig_capable",
        "as_of",
        "edited",
        "withdrawn",
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
        "provider",
        "family",
        "accelerator_id",
        "accelerators_per_node",
        "node_memory_gib",
        "internode_gbit_per_s",
        "vcpus",
        "host_memory_gib",
        "as_of",
        "edited",
        "withdrawn",
    )
    list_filter = ("provider", "family", "accelerator", OriginFilter, "withdrawn")
    list_select_related = ("accelerator",)
    search_fields = ("slug", "family", "accelerator__name", "accelerator__slug", "source")
    inlines = (NewPriceInline, PriceOnRecordInline)
    fieldsets = (
        (None, {"fields": ("slug", "provider", "family", "accelerator", "accelerators_per_node")}),
        ("Network and link", {"fields": ("internode_gbit_per_s", "link_gb_per_s_per_direction")}),
        (
            "Host",
            {"fields": ("vcpus", "host_memory_gib", "local_storage_gb", "ultracluster_max_accelerators")},
        ),
        PROVENANCE,
    )

    @admin.display(description="accelerator memory, node (GiB)")
    def node_memory_gib(self, row: InstanceType) -> str:
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
        "instance_type_id",
        "region",
        "purchase",
        "usd_per_hour",
        "per_accelerator",
        "valid_from",
        "valid_to",
        "as_of",
        "edited",
        "withdrawn",
    )
    list_filter = (InForceFilter, "purchase", "instance_type__provider", "region", OriginFilter, "withdrawn")
    list_select_related = ("instance_type",)
    search_fields = ("instance_type__slug", "region", "source")
    date_hierarchy = "valid_from"
    fixed = ("usd_per_hour",)
    fieldsets = (
        (None, {"fields": ("instance_type", "region", "purchase", "usd_per_hour")}),
        ("In force", {"fields": ("valid_from", "valid_to")}),
        PROVENANCE,
    )

    @admin.display(description="USD per accelerator-hour")
    def per_accelerator(self, row: Price) -> str:
        return f"{row.usd_per_hour / row.instance_type.accelerators_per_node:.4f}"

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            record_price(obj)


@admin.register(Availability)
class AvailabilityAdmin(CatalogAdmin):
    list_display = ("instance_type_id", "region", "zones", "as_of", "edited", "withdrawn")
    list_filter = ("instance_type__provider", "region", OriginFilter, "withdrawn")
    search_fields = ("instance_type__slug", "region", "zones")
    fieldsets = ((None, {"fields": ("instance_type", "region", "zones")}), PROVENANCE)


@admin.register(MigProfile)
class MigProfileAdmin(CatalogAdmin):
    list_display = (
        "profile",
        "accelerator_id",
        "profile_id",
        "compute_slices",
        "memory_slices",
        "memory_mib",
        "max_instances",
        "placement_starts",
        "min_driver",
        "edited",
        "withdrawn",
    )
    list_filter = ("accelerator", OriginFilter, "withdrawn")
    search_fields = ("profile", "accelerator__slug")
    fieldsets = (
        (None, {"fields": ("accelerator", "profile", "profile_id", "min_driver")}),
        ("Size", {"fields": ("compute_slices", "memory_slices", "memory_mib", "copy_engines", "decoders")}),
        ("Placement", {"fields": ("max_instances", "placement_size", "placement_starts")}),
        PROVENANCE,
    )


class TransformerModelForm(FactForm):
    """The config must describe a model, and the published count must be the one it makes."""

    class Meta:
        widgets = {"config": forms.Textarea(attrs={"rows": 24, "cols": 90, "class": "vLargeTextField"})}

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if {"form", "config"} <= set(cleaned):
            row = TransformerModel(slug="", **{name: cleaned[name] for name in ("form", "config")})
            try:
                counted = _counted(row)
            except (PlanError, PlanErrors) as problem:
                for error in problem.errors if isinstance(problem, PlanErrors) else [problem]:
                    key = error.field.rpartition(".")[2]
                    self.add_error("config", f"{key}: {error.message} {error.remedy}")
                return cleaned
            published = cleaned.get("parameters")
            if published and published != counted[0]:
                self.add_error(
                    "parameters",
                    f"The config makes {counted[0]:,} parameters. Correct the config, or leave this empty.",
                )
        return cleaned


@admin.register(TransformerModel)
class TransformerModelAdmin(CatalogAdmin):
    form = TransformerModelForm
    list_display = (
        "name",
        "slug",
        "family",
        "publisher",
        "total_millions",
        "active_millions",
        "max_context",
        "as_of",
        "edited",
        "withdrawn",
    )
    list_filter = ("family", "publisher", "form", OriginFilter, "withdrawn")
    search_fields = ("slug", "name", "family", "publisher")
    readonly_fields = (*CatalogAdmin.readonly_fields, "counted")
    fieldsets = (
        (None, {"fields": ("slug", "name", "family", "publisher", "max_context")}),
        ("Shape", {"fields": ("form", "config", "counted")}),
        ("Published", {"fields": ("parameters", "parameters_source")}),
        PROVENANCE,
    )

    @admin.display(description="parameters (millions)")
    def total_millions(self, row: TransformerModel) -> str:
        return _millions(row, 0)

    @admin.display(description="active per token (millions)")
    def active_millions(self, row: TransformerModel) -> str:
        return _millions(row, 1)

    @admin.display(description="counted from the shape")
    def counted(self, row: TransformerModel) -> str:
        try:
            total, active = _counted(row)
        except (PlanError, PlanErrors) as problem:
            return str(problem)
        return f"{total:,} parameters, {active:,} active per token"


def _counted(row: TransformerModel) -> tuple[int, int]:
    """(total, active) parameters of the shape.  Raises PlanError or PlanErrors where it makes no sense."""
    values = {
        "source": "",
        "as_of": row.as_of,
        "note": "",
        **{name: getattr(row, name) for name in ("slug", *row.FACTS)},
    }
    count = count_parameters(built_model(model_record(values)))
    return count.total, count.active


def _millions(row: TransformerModel, which: int) -> str:
    try:
        return f"{_counted(row)[which] / MEGA:,.1f}"
    except (PlanError, PlanErrors):
        return "cannot be counted"


def _constraint_problems(row: CatalogRow) -> str:
    try:
        row.validate_constraints()
    except forms.ValidationError as problem:
        return " ".join(problem.messages)
    return ""


def _words(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ")


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 120 else text[:119] + "…"
