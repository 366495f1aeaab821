"""What is known of a measured run beside its request, put into the request's own words.

The runs were collected before the contract had some of its fields; what their pages say of these stands as
``facts`` beside the request, or follows from the source. ``facts.csv`` says which fact sets which field, and
why; a field that the contract does not have is passed over.
"""

from __future__ import annotations

import csv
import json
from copy import deepcopy
from functools import lru_cache
from typing import Any, NamedTuple

from planner.accuracy.calibration import DATA_DIRECTORY
from planner.contract.fields import CLUSTER, LAYOUT
from planner.contract.rl_fields import PPO
from planner.contract.workload_fields import WORKLOAD

TABLE = DATA_DIRECTORY / "runs" / "facts.csv"
ANY = "*"
#: In ``where``: words that the row's note has, rather than a value of its request.
NOTE = "note~"
#: In ``set``: the fact's own value.
ITSELF = "@"
TABLES = {"workload": WORKLOAD, "cluster": CLUSTER, "layout": LAYOUT, "workload.ppo": PPO}


class Mapping(NamedTuple):
    """One row of the table: in runs of which source (and where), what fact of what value sets which field."""

    source: str
    where: str
    fact: str
    value: str
    field: str
    set: str
    why: str

    def known(self) -> bool:
        """The contract has the field, or the object that holds it."""
        first, second, *rest = self.field.split(".")
        if second == "ppo" and rest:
            return rest[0] in PPO.names
        return second in TABLES[first].names

    def meets(self, row: dict[str, Any], facts: dict[str, Any]) -> bool:
        """The run is of the source, and has the fact."""
        if self.source not in (ANY, row["source"]):
            return False
        if self.where.startswith(NOTE):
            if self.where.removeprefix(NOTE) not in row.get("note", ""):
                return False
        elif self.where:
            path, _, wanted = self.where.partition("=")
            if str(at(row["request"], path)) != wanted:
                return False
        return not self.fact or (self.fact in facts and self.value in (ANY, said(facts[self.fact])))


@lru_cache(maxsize=1)
def mappings() -> tuple[Mapping, ...]:
    """The table, in order: a later row wins over an earlier one."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(Mapping(**row) for row in csv.DictReader(file))


def said(value: Any) -> str:
    """A fact's value as the table writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def at(data: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data


def request_with_facts(row: dict[str, Any]) -> dict[str, Any]:
    """The row's request, completed with what its facts and its source say."""
    request: dict[str, Any] = deepcopy(row["request"])
    facts = {**(row.get("facts") or {}), **({"kernels": row["kernels"]} if "kernels" in row else {})}
    if request.get("layout") == "auto" and "training_layout" in facts:
        # Apart from generation, the training layout can be said; these stacks shard optimizer states.
        request["layout"] = {**facts["training_layout"], "sharding": "zero1", "micro_batch_size": 1}
    for each in mappings():
        if each.meets(row, facts) and each.known():
            *sections, name = each.field.split(".")
            section = request
            for part in sections:
                section = section.setdefault(part, {})
            section[name] = facts[each.fact] if each.set == ITSELF else json.loads(each.set)
    return request
