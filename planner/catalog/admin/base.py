"""What all admin pages of the catalog share: provenance, history in values, withdrawing instead of deleting.

What was shipped is shown beside what is kept here and cannot be changed; a changed fact asks for its source.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from planner.catalog.admin.exchange import ExchangeMixin
from planner.catalog.models import CatalogRow
from planner.catalog.rows import KEYS

PROVENANCE: tuple[str, Any] = (
    "Where this is from",
    {"fields": ("source", "as_of", "note", "withdrawn", "as_shipped", "changed_at")},
)


def figure(model: type[CatalogRow], name: str) -> Any:
    """A column of numbers with separators and all the digits there are, headed by the field's own name."""
    heading = getattr(model._meta.get_field(name), "verbose_name", name)

    @admin.display(description=heading, ordering=name, empty_value="-")
    def shown(row: CatalogRow) -> str | None:
        value = getattr(row, name)
        return None if value is None else f"{value:,.10g}"

    shown.__name__ = f"figure_{name}"
    return shown


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


class CatalogAdmin(ExchangeMixin, admin.ModelAdmin[Any]):
    """What the pages of all catalog tables share."""

    form = FactForm
    list_per_page = 100
    save_on_top = True
    readonly_fields: ClassVar[Any] = ("as_shipped", "changed_at")
    actions: Any = ["withdraw", "restore"]
    fixed: ClassVar[tuple[str, ...]] = ()
    """Fields that cannot change once the row is there, beside its key."""

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["catalog/admin.css"]}

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name in ("source", "note"):
            kwargs["widget"] = AdminTextareaWidget(attrs={"rows": 3})
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.readonly_fields
        keys = tuple(name.removesuffix("_id") for name in KEYS[type(obj)])
        return (*self.readonly_fields, *keys, *self.fixed)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows that people added may go; shipped ones are withdrawn: the next load would bring them back."""
        return obj is not None and obj.shipped is None and super().has_delete_permission(request, obj)

    @admin.display(description="state")
    def state(self, row: CatalogRow) -> str:
        """What sets a row apart: most are as they were shipped, which needs no word."""
        added = f"refreshed by {row.kept_by}" if row.kept_by else "added here"
        origin = added if row.shipped is None else "edited here" if row.is_edited else ""
        return (
            ", ".join(word for word in (origin, "withdrawn" if row.withdrawn else "") if word) or "as shipped"
        )

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
