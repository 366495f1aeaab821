"""The JSON form of a snapshot, both ways.

Pure: standard library and `inventory.wire.snapshot` only. A missing leaf is `null` in its place, and its
reason is under ``unavailable`` by dotted path. Reading is strict about types, sizes and signs, since
snapshots arrive over the network; unknown keys are ignored, so that a newer agent can talk to an older
server.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from inventory.wire.snapshot import MAX_GPUS, MAX_LIST, MAX_TEXT, SCHEMA, HostSnapshot, Missing, Temperature

Json = Any
MAX_INTEGER = 2**63 - 1
# Numbers by name that no real host exceeds; without a limit the database would raise a less helpful error.
LARGEST = {
    "index": MAX_GPUS * 16 - 1,
    "start": 255,
    "size": 256,
    "gpu_instance_id": 2**31 - 1,
    "compute_instance_id": 2**31 - 1,
    **{f.name: 1000 for f in fields(Temperature)},
}


class SnapshotError(ValueError):
    """A snapshot that is rejected. `field` is the dotted path, `message` says why."""

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
    """The JSON value of a record. Reasons of missing leaves are added to `missing` by path."""
    kind = type(record)
    if kind is Missing:
        missing[path] = record.reason
        return None
    if kind is tuple:
        return [encode(item, missing, _join(path, str(i))) for i, item in enumerate(record)]
    names = _names(kind)  # type: ignore[arg-type]
    if names is None:
        return record
    prefix = f"{path}." if path else ""
    found: dict[str, Json] = {}
    for name in names:
        value = getattr(record, name)
        # Most leaves are plain; checking their class first saves a call for each.
        if value.__class__ in _PLAIN:
            found[name] = value
        elif value.__class__ is Missing:
            missing[prefix + name] = value.reason
            found[name] = None
        else:
            found[name] = encode(value, missing, prefix + name)
    return found


_PLAIN = frozenset({str, int, float, bool})


@cache
def _names(kind: Any) -> tuple[str, ...] | None:
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else None


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
        raise SnapshotError("gpus", f"{len(gpus)} GPUs on one host; at most {MAX_GPUS} are accepted")
    decoded: HostSnapshot = _decode(HostSnapshot, body, missing, "")
    _check_indices(decoded)
    return decoded


def pack(snapshot: HostSnapshot) -> bytes:
    """A snapshot as compressed JSON, for storage."""
    return pack_json(to_json(snapshot))


def pack_json(body: Mapping[str, Json]) -> bytes:
    """JSON that `from_json` has read, compressed unchanged."""
    return zlib.compress(json.dumps(body, separators=(",", ":")).encode(), level=1)


def unpack(packed: bytes) -> HostSnapshot:
    """The snapshot that `pack` stored. Raises `SnapshotError` for another version's format."""
    try:
        return from_json(json.loads(zlib.decompress(packed)))
    except (zlib.error, ValueError) as error:
        raise (
            error if isinstance(error, SnapshotError) else SnapshotError("", "cannot be unpacked")
        ) from error


def assemble(cls: type[Any], readings: Mapping[str, Json], missing: Mapping[str, str], rest: str) -> Any:
    """A record of type `cls` from leaves by dotted path. Leaves that were not read are missing for the reason
    `rest`.

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
    return _decoder(kind)(value, missing, "", path, rest)


# Reads one value: (value, reasons by path, the path's prefix and last name, reason of what is absent).
# A path is built only where it is needed, since most leaves are neither missing nor wrong.
Decoder = Callable[[Json, Mapping[str, Json], str, str, str], Any]


@cache
def _decoder(kind: Any) -> Decoder:
    """The reader of a type, built once, because inspecting type hints at every reading would be slow."""
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _optional(_decoder(next(arg for arg in get_args(kind) if arg is not Missing)))
    if origin is tuple:
        return _list_decoder(_decoder(get_args(kind)[0]))
    if is_dataclass(kind):
        return _record_decoder(kind)
    return _leaf_decoder(kind)


def _optional(inner: Decoder) -> Decoder:
    def read(value: Json, missing: Mapping[str, Json], prefix: str, name: str, rest: str) -> Any:
        if value is None:
            path = prefix + name
            return _missing(_reason(missing.get(path, rest), path))
        return inner(value, missing, prefix, name, rest)

    return read


@lru_cache(maxsize=256)
def _missing(reason: str) -> Missing:
    return Missing(reason)


def _list_decoder(inner: Decoder) -> Decoder:
    def read(value: Json, missing: Mapping[str, Json], prefix: str, name: str, rest: str) -> Any:
        path = prefix + name
        if not isinstance(value, list):
            raise SnapshotError(path, "must be a list")
        if len(value) > MAX_LIST:
            raise SnapshotError(path, f"has {len(value)} entries; at most {MAX_LIST} are accepted")
        return tuple([inner(item, missing, f"{path}.", str(i), rest) for i, item in enumerate(value)])

    return read


def _record_decoder(cls: Any) -> Decoder:
    hints = get_type_hints(cls)
    layout = [
        (f.name, _decoder(hints[f.name]), _requirement(f, hints[f.name]), f.default) for f in fields(cls)
    ]

    def read(value: Json, missing: Mapping[str, Json], prefix: str, name: str, rest: str) -> Any:
        path = prefix + name
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise SnapshotError(path, "must be an object")
        inner = f"{path}." if path else ""
        found = []
        for field_name, decoder, requirement, default in layout:
            item = value.get(field_name)
            if item is None:
                if requirement == "required":
                    raise SnapshotError(inner + field_name, "is required")
                if requirement == "defaulted" and field_name not in value:
                    found.append(default)
                    continue
            found.append(decoder(item, missing, inner, field_name, rest))
        return cls(*found)

    return read


def _requirement(entry: Any, kind: Any) -> str:
    """Whether a left-out key is an error, takes the class's own default (text, list), or has a reason."""
    if entry.default is MISSING and entry.default_factory is MISSING:
        return "required"
    if get_origin(kind) in (Union, UnionType) or is_dataclass(kind):
        return "explained"
    return "defaulted"


def _leaf_decoder(kind: Any) -> Decoder:
    if kind is int:

        def read_count(value: Json, missing: Mapping[str, Json], prefix: str, name: str, rest: str) -> Any:
            if value.__class__ is int and 0 <= value <= LARGEST.get(name, MAX_INTEGER):
                return value
            return _leaf(int, value, prefix + name)

        return read_count

    def read(value: Json, missing: Mapping[str, Json], prefix: str, name: str, rest: str) -> Any:
        return _leaf(kind, value, prefix + name)

    return read


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
    temperature = path.endswith("_c")
    largest = LARGEST.get(path.rpartition(".")[2], MAX_INTEGER)
    if not math.isfinite(value) or abs(value) > largest:
        raise SnapshotError(path, f"must be a finite number up to {largest}")
    if value < 0 and not temperature:
        raise SnapshotError(path, "cannot be negative")
    return float(value) if kind is float else value


def _text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise SnapshotError(path, "must be text")
    if len(value) > MAX_TEXT:
        raise SnapshotError(path, f"is longer than {MAX_TEXT} characters")
    if "\x00" in value:
        raise SnapshotError(path, "holds a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise SnapshotError(path, "holds an incomplete character") from None
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
