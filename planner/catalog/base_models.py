"""What every table of the catalog has: its source and day, what was shipped, and the stamp that caches go
by."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date
from typing import Any, ClassVar, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q


class CatalogStamp(models.Model):
    """One row whose value changes whenever anything in the catalog does; caches are kept by it."""

    value = models.UUIDField(default=uuid.uuid4)

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def renew(cls) -> None:
        cls.objects.update_or_create(pk=1, defaults={"value": uuid.uuid4()})


_Row = TypeVar("_Row", bound="CatalogRow")


class CatalogQuerySet(models.QuerySet[_Row]):
    """Bulk changes renew the stamp as single ones do."""

    def update(self, **kwargs: Any) -> int:
        changed = super().update(**kwargs)
        CatalogStamp.renew()
        return changed

    def delete(self) -> tuple[int, dict[str, int]]:
        deleted = super().delete()
        CatalogStamp.renew()
        return deleted

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        created = super().bulk_create(objs, *args, **kwargs)
        CatalogStamp.renew()
        return created

    def bulk_update(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> int:
        changed = super().bulk_update(objs, *args, **kwargs)
        CatalogStamp.renew()
        return changed


class CatalogRow(models.Model):
    """What every row of the catalog has.

    shipped: the facts as the project last shipped them, None for a row that a person added.
    withdrawn: kept for the record, left out of every plan.  FACTS: fields that are shipped, without the key.
    kept_by: the refresh source that added the row; empty for shipped rows and for people's.
    seen_on: the last day on which a refresh found the row as it is, later than ``as_of``.
    Who changed what and when is in the audit log, for what is saved row by row; loads are change sets
    instead.
    """

    FACTS: ClassVar[tuple[str, ...]] = ()

    source = models.CharField(
        max_length=1000, help_text="Who says so: publication, page or file, with its version."
    )
    as_of = models.DateField("as of", help_text="The day the source was as recorded.")
    note = models.TextField(blank=True, help_text="What to know when reading this row.")
    withdrawn = models.BooleanField(default=False, help_text="Kept for the record, left out of every plan.")
    shipped = models.JSONField(null=True, blank=True, editable=False, encoder=DjangoJSONEncoder)
    changed_at = models.DateTimeField("last changed", auto_now=True)
    kept_by = models.CharField("refreshed by", max_length=40, blank=True, editable=False)
    seen_on = models.DateField("last seen", null=True, blank=True, editable=False)

    objects = CatalogQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        CatalogStamp.renew()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        deleted = super().delete(*args, **kwargs)
        CatalogStamp.renew()
        return deleted

    @property
    def is_edited(self) -> bool:
        """A person changed what was shipped, or added the row; a refresh's rows are nobody's edits."""
        if self.shipped is None:
            return not self.kept_by
        return bool(self.shipped != self.facts())

    def facts(self) -> dict[str, Any]:
        """The values of ``FACTS`` as JSON keeps them, to be held against ``shipped``."""
        return {
            name: _plain(getattr(self, name))
            for name in (*self.FACTS, "source", "as_of", "note", "withdrawn")
        }


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str | list | dict) else str(value)


def positive(*names: str) -> list[models.BaseConstraint]:
    """One constraint a field: above zero, or unknown where the field may be."""
    return [
        models.CheckConstraint(
            condition=Q(**{f"{name}__gt": 0}) | Q(**{f"{name}__isnull": True}),
            name=f"%(class)s_{name}_positive",
            violation_error_message=f"{name.replace('_', ' ').capitalize()} must be greater than zero.",
        )
        for name in names
    ]
