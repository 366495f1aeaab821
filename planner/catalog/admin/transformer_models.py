"""Admin page of the models: the config, and what it makes when it is counted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin

from planner.catalog.admin.base import PROVENANCE, CatalogAdmin, FactForm, OriginFilter, figure
from planner.catalog.facts.shapes import built_model
from planner.catalog.models import TransformerModel
from planner.catalog.rows import model_record
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.shape.parameters import count_parameters

MEGA = 1e6


class TransformerModelForm(FactForm):
    """The config must describe a model, and the published count must be the one it makes."""

    class Meta:
        widgets = {"config": forms.Textarea(attrs={"rows": 14, "cols": 90, "class": "vLargeTextField"})}

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
        "publisher",
        "figure_total",
        "figure_active",
        figure(TransformerModel, "max_context"),
        "as_of",
        "state",
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
    def figure_total(self, row: TransformerModel) -> str:
        return _millions(row, 0)

    @admin.display(description="active per token (millions)")
    def figure_active(self, row: TransformerModel) -> str:
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
