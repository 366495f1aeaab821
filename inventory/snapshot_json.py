"""The JSON form of a snapshot, both ways.

Pure: standard library and `inventory.snapshot` only. A missing leaf is `null` in its
place and its reason stands under ``unavailable`` by dotted path. Reading is strict about
types, sizes and signs, since snapshots arrive over the network; keys it does not know are
ignored, so that a newer agent can talk to an older server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from inventory.snapshot import (
    MAX_GPUS,
    MAX_LIST,
    MAX_TEXT,
    SCHEMA,
    HostSnapshot,
    Missing,
)

Json = Any
MAX_INTEGER = 2**63 - 1


class SnapshotError(ValueError):
    """A snapshot that cannot be believed. `field` is the dotted path, `message` says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def to_json(snapshot: HostSnapshot) -> dict[str, Json]:
    """A JSON-ready object in the shape of the project's `probe` contract."""
    missing: dict[str, str] = {}
    body = encode(snapshot, missing)
    return {"schema": SCHEMA, **body, "unavailable": missing}


def encode(record: Any, missing: dict[str, str], path: str = "") -> Json:
    """JSON value of a record; reasons of missing leaves are added to `missing` by path."""
    if isinstance(record, Missing):
        missing[path] = record.reason
        return None
    if is_dataclass(record):
        return {f.name: encode(getattr(record, f.name), missing, _join(path, f.name)) for f in fields(record)}
    if isinstance(record, tuple):
        return [encode(item, missing, _join(path, str(i))) for i, item in enumerate(record)]
    return record


def from_json(body: Json) -> HostSnapshot:
    """The snapshot that `body` describes.

    Raises `SnapshotError` for another schema, a wrong type, a negative or non-finite number,
    or more entries than one host can have.
    """
    if not isinstance(body, Mapping):
        raise SnapshotError("", "a snapshot is a JSON object")
    if body.get("schema") != SCHEMA:
        raise SnapshotError("schema", f"this server reads schema {SCHEMA}, not {body.get('schema')!r}")
    missing = body.get("unavailable", {})
    if not isinstance(missing, Mapping):
        raise SnapshotError("unavailable", "must be an object of reasons by path")
    gpus = body.get("gpus")
    if isinstance(gpus, list) and len(gpus) > MAX_GPUS:
        raise SnapshotError("gpus", f"{len(gpus)} GPUs on one host; at most {MAX_GPUS} are believed")
    decoded: HostSnapshot = _decode(HostSnapshot, body, missing, "")
    _check_indices(decoded)
    return decoded


def assemble(cls: type[Any], readings: Mapping[str, Json], missing: Mapping[str, str], rest: str) -> Any:
    """A record of type `cls` from leaves by dotted path; whatever was never read is missing for `rest`.

    A leaf that no record may hold (a driver's negative count, say) is missing as ``not_believable``.
    """
    believed = dict(readings)
    reasons = dict(missing)
    while True:
        try:
            return _decode(cls, _tree(believed), reasons, "", rest)
        except SnapshotError as error:
            wrong = [path for path in believed if error.field == path or error.field.startswith(path + ".")]
            if not wrong:
                raise
            for path in wrong:
                del believed[path]
                reasons[path] = "not_believable"


def _tree(readings: Mapping[str, Json]) -> dict[str, Json]:
    tree: dict[str, Json] = {}
    for path, value in readings.items():
        node = tree
        *parents, leaf = path.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _decode(
    kind: Any, value: Json, missing: Mapping[str, Json], path: str, rest: str = "not_reported"
) -> Any:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        if value is None:
            return Missing(_reason(missing.get(path, rest), path))
        kind = next(arg for arg in get_args(kind) if arg is not Missing)
        return _decode(kind, value, missing, path, rest)
    if origin is tuple:
        return _decode_list(get_args(kind)[0], value, missing, path, rest)
    if is_dataclass(kind):
        return _decode_record(kind, value, missing, path, rest)
    return _leaf(kind, value, path)


def _decode_record(cls: Any, value: Json, missing: Mapping[str, Json], path: str, rest: str) -> Any:
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        raise SnapshotError(path, "must be an object")
    found: dict[str, Any] = {}
    for name, kind, required in _layout(cls):
        where = _join(path, name)
        if required and value.get(name) is None:
            raise SnapshotError(where, "is required")
        if name in value or not _has_plain_default(kind):
            found[name] = _decode(kind, value.get(name), missing, where, rest)
    return cls(**found)


@cache
def _layout(cls: Any) -> tuple[tuple[str, Any, bool], ...]:
    hints = get_type_hints(cls)
    return tuple(
        (f.name, hints[f.name], f.default is MISSING and f.default_factory is MISSING) for f in fields(cls)
    )


def _has_plain_default(kind: Any) -> bool:
    """Whether a left-out key takes the class's default (text, list) rather than a reason."""
    return get_origin(kind) not in (Union, UnionType) and not is_dataclass(kind)


def _decode_list(
    kind: Any, value: Json, missing: Mapping[str, Json], path: str, rest: str
) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SnapshotError(path, "must be a list")
    if len(value) > MAX_LIST:
        raise SnapshotError(path, f"has {len(value)} entries; at most {MAX_LIST} are believed")
    return tuple(_decode(kind, item, missing, _join(path, str(i)), rest) for i, item in enumerate(value))


def _leaf(kind: Any, value: Json, path: str) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise SnapshotError(path, "must be true or false")
        return value
    if kind is str:
        return _text(value, path)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SnapshotError(path, "must be a number")
    if kind is int and not isinstance(value, int):
        raise SnapshotError(path, "must be a whole number")
    if not math.isfinite(value) or abs(value) > MAX_INTEGER:
        raise SnapshotError(path, "must be a finite number under 2^63")
    # Only temperatures can be below zero.
    if value < 0 and not path.endswith("_c"):
        raise SnapshotError(path, "cannot be negative")
    return float(value) if kind is float else value


def _text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise SnapshotError(path, "must be text")
    if len(value) > MAX_TEXT:
        raise SnapshotError(path, f"is longer than {MAX_TEXT} characters")
    if "\x00" in value:
        raise SnapshotError(path, "holds a NUL character")
    return value


def _reason(value: Json, path: str) -> str:
    return _text(value, f"unavailable.{path}")


def _check_indices(snapshot: HostSnapshot) -> None:
    indices = [(gpu.kind, gpu.index) for gpu in snapshot.gpus]
    if len(set(indices)) != len(indices):
        raise SnapshotError("gpus", "two GPUs have the same index")
    uuids = [gpu.uuid for gpu in snapshot.gpus if isinstance(gpu.uuid, str)]
    if len(set(uuids)) != len(uuids):
        raise SnapshotError("gpus", "two GPUs have the same UUID")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
