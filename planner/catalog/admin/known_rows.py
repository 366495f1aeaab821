"""What an import asks the database once rather than row by row: the rows there are, what they link to, and
whether a row keeps the table's constraints.

A file of thousands of rows is looked through in seconds so. The constraints are those that the tables
declare; only how they are asked is another.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import CheckConstraint, F, Model, Q, UniqueConstraint
from import_export.instance_loaders import BaseInstanceLoader
from import_export.widgets import ForeignKeyWidget

#: The lookups that the tables' constraints use.
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "exact": operator.eq,
    "gt": operator.gt,
    "in": lambda held, wanted: held in wanted,
    "isnull": lambda held, wanted: (held is None) is wanted,
}


class KnownRows(BaseInstanceLoader):  # type: ignore[misc]  # no annotations
    """The rows of the table by the columns that tell them; one that is not withdrawn comes before its kin."""

    def __init__(self, resource: Any, dataset: Any = None) -> None:
        super().__init__(resource, dataset)
        self.names = resource.get_import_id_fields()
        rows = resource.get_queryset().order_by("-withdrawn", "pk")
        self.known = {tuple(getattr(row, _column(row, name)) for name in self.names): row for row in rows}

    def get_instance(self, row: Any) -> Any:
        key = []
        for name in self.names:
            field = self.resource.fields[name]
            linked = isinstance(field.widget, SlugWidget)
            key.append(str(row.get(name) or "").strip() if linked else field.clean(row))
        return self.known.get(tuple(key))


class SlugWidget(ForeignKeyWidget):  # type: ignore[misc]  # no annotations
    """A link by slug, each looked up once. What is linked to is not changed by the import."""

    def __init__(self, model: type[Model]) -> None:
        super().__init__(model, "slug")
        self.found: dict[str, Any] | None = None

    def clean(self, value: Any, row: Any = None, **kwargs: Any) -> Any:
        if not value:
            return None
        if self.found is None:
            self.found = {each.slug: each for each in self.model._default_manager.all()}
        found = self.found.get(str(value).strip())
        if found is None:
            raise ValueError(f"{value} does not exist in the {self.model._meta.verbose_name_plural}.")
        return found


def check_constraints(row: Model, key: tuple[str, ...]) -> None:
    """Raise ValidationError where a row breaks its table's constraints.

    key: the columns by which the import has found that there is no such row, so that nobody asks again.
    """
    problems: list[str] = []
    for constraint in row._meta.constraints:
        if isinstance(constraint, CheckConstraint) and _understood(constraint.condition):
            if not _holds(constraint.condition, row):
                problems.append(str(constraint.get_violation_error_message()))
        elif not (isinstance(constraint, UniqueConstraint) and set(constraint.fields) == set(key)):
            problems += _said_by(constraint, row)
    if problems:
        raise ValidationError(problems)


def _said_by(constraint: Any, row: Model) -> Iterator[str]:
    try:
        constraint.validate(type(row), row)
    except ValidationError as problem:
        yield from problem.messages


def _understood(condition: Any) -> bool:
    """Whether ``_holds`` knows all comparisons of a condition; of another one the database is asked."""
    if isinstance(condition, Q):
        return all(_understood(child) for child in condition.children)
    return isinstance(condition, tuple) and (condition[0].partition("__")[2] or "exact") in COMPARISONS


def _holds(condition: Any, row: Model) -> bool:
    """Whether a row keeps a condition of comparisons; what is unknown compares with nothing, as in SQL."""
    if isinstance(condition, Q):
        each = (_holds(child, row) for child in condition.children)
        kept = any(each) if condition.connector == Q.OR else all(each)
        return not kept if condition.negated else kept
    name, wanted = condition
    name, _, lookup = name.partition("__")
    held = getattr(row, name)
    if isinstance(wanted, F):
        wanted = getattr(row, wanted.name)  # type: ignore[attr-defined]  # stubs lack it
    if lookup != "isnull" and (held is None or wanted is None):
        return False
    return bool(COMPARISONS[lookup or "exact"](held, wanted))


def _column(row: Model, name: str) -> str:
    """The attribute that has a field's own value: of a link, the slug."""
    return str(row._meta.get_field(name).attname)  # type: ignore[union-attr]
