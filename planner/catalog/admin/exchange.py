"""Importing and exporting every table of the catalog as CSV and JSON: a dry run first, each row with its
errors.

An import becomes a change set, so that it is seen beside refreshes and can be undone like them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.models import ForeignKey
from django.utils import timezone
from django.utils.encoding import force_str
from django.utils.html import format_html
from django.utils.safestring import SafeString
from import_export import resources
from import_export.admin import ImportExportMixin
from import_export.fields import Field
from import_export.formats import base_formats
from import_export.resources import Diff

from planner.catalog.admin.known_rows import KnownRows, SlugWidget, check_constraints
from planner.catalog.changes.imports_services import ImportedRow, record_import
from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogRow,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)
from planner.catalog.services import record_price
from planner.web.csv import as_text

#: Rows of one file on a page: more would hold a web process too long. All prices of this catalog are 2,750.
MOST_ROWS = 10_000
PROVENANCE = ("source", "as_of", "note", "withdrawn")


class EscapedCSV(base_formats.CSV):  # type: ignore[misc]  # no annotations
    """CSV whose cells no spreadsheet takes for a formula."""

    def export_data(self, dataset: Any, **kwargs: Any) -> str:
        return as_text([dataset.headers, *dataset])


class MarkedDiff(Diff):  # type: ignore[misc]  # no annotations
    """Before and after by elements alone: the site's policy forbids the package's inline styles."""

    def as_html(self) -> list[SafeString]:
        pairs = [
            ("" if self.new else force_str(before), force_str(after))
            for before, after in zip(self.left, self.right, strict=True)
        ]
        return [_difference(before, after) for before, after in pairs]


def _difference(before: str, after: str) -> SafeString:
    if before == after:
        return format_html("{}", after)
    gone = format_html("<del>{}</del> ", before) if before else ""
    return format_html("{}<ins>{}</ins>", gone, after)


class CatalogResource(resources.ModelResource):  # type: ignore[misc]  # no annotations
    """What the files of all tables share: known columns, each key once, no day in the future."""

    KEY: ClassVar[tuple[str, ...]] = ()
    #: Columns that a file may lack, with what they hold then.
    USUAL: ClassVar[dict[str, Any]] = {"note": "", "withdrawn": False}

    class Meta:
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True
        store_instance = True
        instance_loader_class = KnownRows
        exclude = ("id", "shipped", "changed_at", "kept_by", "seen_on", "computed_from")

    @classmethod
    def get_diff_class(cls) -> type[Diff]:
        return MarkedDiff

    def before_import(self, dataset: Any, **kwargs: Any) -> None:
        headers = list(dataset.headers or ())
        known = set(self.fields)
        problems = []
        if len(dataset) > MOST_ROWS:
            problems.append(
                f"The file has {len(dataset):,} rows; a page takes at most {MOST_ROWS:,}. Split it, or use "
                f"manage.py import_catalog {self._meta.model._meta.model_name} FILE, which takes any number."
            )
        unknown = [str(name) for name in headers if name not in known]
        if unknown:
            problems.append(f"Unknown columns: {', '.join(unknown)}. Known are {', '.join(sorted(known))}.")
        missing = [
            name for name in (*self.KEY, "source", "as_of") if name not in headers and name not in self.USUAL
        ]
        if missing:
            problems.append(f"Missing columns: {', '.join(missing)}.")
        if problems:
            dataset.wipe()  # none of its rows is looked at
            raise ValidationError(problems)
        for name, value in self.USUAL.items():
            if name in known and name not in headers:
                dataset.append_col([value] * len(dataset), header=name)
        # A file that comes in pieces has its keys and links met before, and its rows counted from the first.
        self._met: dict[int, int] = kwargs.get("met", {})
        self._rows_before = int(kwargs.get("rows_before") or 0)
        self._ended: dict[int, tuple[int, ...]] = {}

    def before_import_row(self, row: Any, **kwargs: Any) -> None:
        number = self._rows_before + int(kwargs.get("row_number") or 0)
        key = tuple(str(row.get(name) or "").strip() for name in self.KEY)
        first = self._met.setdefault(hash(key), number)
        if first != number:
            raise ValidationError(f"Row {number} has the key of row {first}: {' '.join(key)}.")
        today = timezone.localdate()
        for name in ("as_of", "valid_from"):
            try:
                day = date.fromisoformat(str(row.get(name) or "")[:10])
            except ValueError:
                continue  # the field's own error says so
            if day > today:
                raise ValidationError({name: f"Row {number}: {day} is in the future."})

    def after_import(self, dataset: Any, result: Any, **kwargs: Any) -> None:
        if kwargs.get("dry_run") or result.has_errors() or result.has_validation_errors():
            return
        user = kwargs.get("user")
        record_import(
            self._meta.model,
            self._rows(result.rows),
            who=user.get_username() if user else "import",
            file=str(kwargs.get("file_name") or "a file"),
            now=timezone.now(),
            into=kwargs.get("into"),
        )

    def validate_instance(
        self, instance: Any, import_validation_errors: Any = None, validate_unique: bool = True
    ) -> None:
        """Fields, the row as a whole and its table's constraints, without asking for each row."""
        errors = dict(import_validation_errors or {})
        links = {field.name for field in instance._meta.concrete_fields if isinstance(field, ForeignKey)}
        try:
            instance.clean_fields(exclude={*errors, *links})
        except ValidationError as problem:
            errors = problem.update_error_dict(errors)
        if not errors:
            instance.clean()
            check_constraints(instance, self.KEY)
        if errors:
            raise ValidationError(errors)

    def save_instance(self, instance: Any, is_create: bool, row: Any, **kwargs: Any) -> None:
        """A dry run writes nothing: what the tables would refuse has been said."""
        if not kwargs.get("dry_run"):
            super().save_instance(instance, is_create, row, **kwargs)

    def do_instance_save(self, instance: Any, is_create: bool) -> None:
        """A new price ends the one before it, as everywhere."""
        if is_create and isinstance(instance, Price):
            self._ended[id(instance)] = tuple(row.pk for row in record_price(instance))
        else:
            instance.save()

    def _rows(self, rows: Iterable[Any]) -> Iterable[ImportedRow]:
        for row in rows:
            if row.import_type in ("new", "update"):
                yield ImportedRow(
                    before=row.original if row.import_type == "update" else None,
                    after=row.instance,
                    ended=self._ended.get(id(row.instance), ()),
                )


def _resource(table: type[CatalogRow], *key: str, usual: dict[str, Any] | None = None) -> type[Any]:
    """The resource of one table. key: the names of the columns that tell a row."""
    links = {
        field.name: Field(
            column_name=field.name,
            attribute=field.name,
            widget=SlugWidget(field.related_model),
        )
        for field in table._meta.concrete_fields
        if isinstance(field, ForeignKey)
    }
    meta = type("Meta", (CatalogResource.Meta,), {"model": table, "import_id_fields": key})
    return type(
        f"{table.__name__}Resource",
        (CatalogResource,),
        {**links, "Meta": meta, "KEY": key, "USUAL": {**CatalogResource.USUAL, **(usual or {})}},
    )


RESOURCES: dict[type[CatalogRow], type[Any]] = {
    Accelerator: _resource(Accelerator, "slug"),
    InstanceType: _resource(InstanceType, "slug"),
    Price: _resource(
        Price,
        "instance_type",
        "region",
        "purchase",
        "payment_option",
        "negotiated",
        "valid_from",
        usual={"payment_option": "", "negotiated": False},
    ),
    Availability: _resource(Availability, "instance_type", "region"),
    MigProfile: _resource(MigProfile, "accelerator", "profile"),
    TransformerModel: _resource(TransformerModel, "slug"),
}


class ExchangeMixin(ImportExportMixin):  # type: ignore[misc]  # no annotations
    """Import and export on an admin page of the catalog."""

    import_formats: ClassVar[list[Any]] = [base_formats.CSV, base_formats.JSON]
    export_formats: ClassVar[list[Any]] = [EscapedCSV, base_formats.JSON]

    def get_import_formats(self) -> list[Any]:
        return list(self.import_formats)

    def get_export_formats(self) -> list[Any]:
        return list(self.export_formats)

    def get_resource_classes(self, request: Any) -> list[Any]:
        return [RESOURCES[self.model]]

    def get_import_data_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        return dict(kwargs)
