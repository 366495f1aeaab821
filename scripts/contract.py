"""Writes docs/contract.md from the declared fields of the JSON contract: ``make docs``.

Nothing in its tables is written by hand, so they cannot drift from what is read; a test fails when it is
stale.
"""

from __future__ import annotations

from pathlib import Path

from planner.contract import mig_fields
from planner.contract.card_fields import CARD
from planner.contract.field import Field, Table
from planner.contract.fields import CLUSTER, LAYOUT, PASTED_MODEL, REQUEST, SEARCH
from planner.contract.market_fields import ANY
from planner.contract.rl_fields import GENERATION, PPO
from planner.contract.running_fields import MOE, SEQUENCES
from planner.contract.shape_fields import SHAPE
from planner.contract.workload_fields import WORKLOAD
from planner.engine.layout.stacks import AXES, STACKS

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "contract.md"
INTRODUCTION = """# The JSON contract

*Written by `make docs` from the fields that `planner/contract` declares. The planning form, its help and the
schema at `GET /api/v1/schema` are made from the same declarations.*

One schema serves `manage.py estimate`, `manage.py search` and `manage.py mig` (JSON Lines: a request a line
in, an answer a line out) and `POST /api/v1/estimate`, `POST /api/v1/search` and `POST /api/v1/mig`. A field
that is not known is an error. `null` counts as left out. Everything is SI or says its unit in its name.

What makes no sense is answered with status 422 (a line of its own in JSON Lines):
`{"error": {"field", "value", "message", "remedy"}, "errors": […]}`, the first problem and all of them. A plan
that does not fit is an answer, not an error.

The last column is the field's name in the addresses of pages, such as `/?model=gpt2&nodes=1`.
"""
SECTIONS: tuple[tuple[str, str, Table], ...] = (
    ("Request of estimate", "", REQUEST),
    (
        "Model",
        "A name of the catalog (`GET /api/v1/models` lists them), a pasted config, or one's own shape.",
        PASTED_MODEL,
    ),
    (
        "Own architecture",
        "`model` as an object of sizes. Of these `architecture`, `layers`, `hidden_size` and "
        "`attention_heads` are required, and `vocab_size` or, for images, `image_size` and `patch_size`; "
        "`name` is read too.",
        SHAPE,
    ),
    (
        "Workload",
        "The length of the run is `tokens`, `epochs` with `dataset_tokens`, or `samples`.",
        WORKLOAD,
    ),
    ("Real lengths", "`workload.sequences`.", SEQUENCES),
    ("Experts", "`workload.moe`.", MOE),
    (
        "Reinforcement learning",
        "`workload.ppo`, for PPO, GRPO, RLOO, DAPO and their kin. A step is one round over "
        "`global_batch_size` sequences.",
        PPO,
    ),
    ("Generation", "`workload.ppo.generation`: what is left out is chosen.", GENERATION),
    ("Real lengths", "", SEQUENCES),
    ("Experts", "", MOE),
    (
        "Cluster",
        "Either `instance_type` or `accelerator` is given, and with each the fields that go with it.",
        CLUSTER,
    ),
    (
        "Own accelerator",
        "What `cluster.accelerator` holds as an object: a card that the catalog lacks. `memory_bytes`, "
        "`bf16_flops_per_s` and `memory_bandwidth_bytes_per_s` are required unless `like` names a card whose "
        "figures stand in.",
        CARD,
    ),
    ("Layout", "", LAYOUT),
    ("Request of search", "As `estimate` without `layout`, over many clusters.", SEARCH),
    ("Filters of search", "What `cluster.any` may hold.", ANY),
    (
        "Request of mig: counts",
        "`manage.py mig` and `POST /api/v1/mig` take one of three questions; [mig.md](mig.md) says what is "
        "answered. How many configurations an accelerator has.",
        mig_fields.ENUMERATE,
    ),
    ("Request of mig: sizes", "The smallest profile for each of a list of jobs.", mig_fields.RIGHT_SIZE),
    ("Request of mig: layout", "Which partitions GPUs should have for demands.", mig_fields.LAYOUT),
    ("GPUs of mig", "Each group of `gpus`: by `accelerator` or `instance_type`.", mig_fields.GPUS),
    ("Existing instances of mig", "`gpus.existing`.", mig_fields.EXISTING),
    (
        "Demands of mig",
        "Each of `demands`: by `profile`, by the least memory and compute, or a `job`.",
        mig_fields.DEMAND,
    ),
    ("Jobs of mig", "`demands.job`, and each of `right_size`.", mig_fields.JOB),
)


def document() -> str:
    parts = [INTRODUCTION]
    for title, words, table in SECTIONS:
        parts.append(f"## {title}\n")
        if words:
            parts.append(f"{words}\n")
        parts.append("\n".join(rows(table)) + "\n")
    parts.append("\n".join(stack_lines()) + "\n")
    return "\n".join(parts)


def stack_lines() -> list[str]:
    """What each named stack has, as a table with its sources."""
    lines = [
        "## Stacks\n",
        "What a `framework` has. Open fields of a layout stay within what is usual (in bold); what a stack "
        "lacks is refused where it is asked for.\n",
        "| framework | axes | sharding | recompute | offload | read in |",
        "|---|---|---|---|---|---|",
    ]
    for name, stack in STACKS.items():
        axes = [shown(words, axis in stack.usual_axes) for axis, words in AXES.items() if axis in stack.axes]
        shardings = [shown(kind, kind in stack.usual_shardings) for kind in stack.shardings]
        ranks = "one GPU alone" if stack.most_ranks == 1 else "replicas alone"
        cells = (
            f"`{name}`",
            ", ".join(axes) or ranks,
            ", ".join(shardings),
            ", ".join(stack.recomputes),
            ", ".join(stack.offloads) or "none",
            stack.source,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def shown(text: str, usual: bool) -> str:
    return f"**{text}**" if usual else text


def rows(table: Table) -> list[str]:
    head = ["| field | is | left out | means | in addresses |", "|---|---|---|---|---|"]
    return head + [row(field) for field in table.fields]


def row(field: Field) -> str:
    name = f"`{field.name}`"
    query = f"`{field.query}`" if field.query else ""
    goes_with = f" Goes with `{field.beside}`." if field.beside and field.beside != field.name else ""
    tasks = f" Only for {', '.join(field.tasks)}." if field.tasks else ""
    return f"| {name} | {kind(field)} | {left_out(field)} | {field.help}{goes_with}{tasks} | {query} |"


def kind(field: Field) -> str:
    """What a value may be, with its bounds and unit."""
    unit = f", {field.unit}" if field.unit and field.kind != "nodes" else ""
    if field.choices is not None:
        values = ", ".join(f"`{value}`" for value in field.choices)
        listed = {
            "names": f"a list of {values}",
            "choices": f"{values}, or a list of them",
            "choice_or_names": f"{values}, or a list of names",
        }
        return listed.get(field.kind, values)
    match field.kind:
        case "whole":
            return f"a whole number, {field.minimum:,} to {field.limit:,.0f}{unit}"
        case "number":
            return f"a number above 0, at most {field.limit:,.15g}{unit}"
        case "share":
            return "a number from 0 to 1"
        case "nodes":
            return f'a whole number, 1 to {field.limit:,.0f}, or `"auto"`'
        case "flag":
            return "`true` or `false`"
        case "date":
            return "a date"
        case "text":
            return "a name"
        case "names":
            return "a list of names"
        case "wholes":
            return f"a list of whole numbers, {field.minimum:,} to {field.limit:,.0f}"
        case "model":
            return "a model, or `null`" if not field.required else "a model"
        case "card":
            return "a name, or an object (below)"
        case "object":
            return "an object"
        case "objects":
            return "a list of objects"
        case _:
            return "anything"


def left_out(field: Field) -> str:
    if field.required:
        return "required"
    if isinstance(field.default, tuple):
        return ", ".join(str(value) for value in field.default) or "`none`"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if field.default is not None:
        return f"`{field.default}`"
    return field.otherwise[:1].lower() + field.otherwise[1:]


def main() -> None:
    DOCUMENT.write_text(document(), encoding="utf-8")
    print(f"wrote {DOCUMENT.name}")


if __name__ == "__main__":
    main()
