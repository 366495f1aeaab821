"""The trace of each number: the engine's explanation as trees that a page can open down to the leaves."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.question.result import PlanResult, Term
from planner.web import formats
from planner.web.formats import Quantity

#: Headline figure -> its title and the terms of the explanation that it is.
HEADLINES = {
    "time": ("Time", ("total_s",)),
    "cost": ("Cost", ("usd",)),
    "memory": ("Memory", ("total",)),
    "mfu": ("MFU", ("model_flops_utilization", "hardware_flops_utilization")),
}
#: Terms whose formula uses another headline's term, which is shown as a child.
RESTS_ON = {"total_s": ("step_s",), "usd": ("total_s",), "model_flops_utilization": ("step_s",)}
MAX_TRACE_DEPTH = 12
SPOKEN = {
    "total_s": "Time of the run",
    "step_s": "Time of a step",
    "usd": "Cost of the run",
    "total": "Memory at the peak",
    "model_flops_utilization": "Model FLOPs utilisation",
    "hardware_flops_utilization": "Hardware FLOPs utilisation",
    "data_communication": "Data-parallel communication, exposed",
    "tensor_communication": "Tensor-parallel communication, exposed",
    "context_communication": "Context-parallel communication, exposed",
    "expert_communication": "Expert-parallel communication, exposed",
    "pipeline_communication": "Pipeline communication, exposed",
    "ffn_activations": "MLP activations",
    "tokens_per_s": "Throughput",
    "parameters_total": "Parameters",
    "billed_hours": "Hours billed",
    "price_usd_per_node_hour": "Price of a node-hour",
    "usd_per_million_tokens": "Cost of a million tokens",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceNode:
    """A number with its formula, source and parts. sums: its children add up to it."""

    name: str
    value: Quantity
    formula: str
    source: str
    children: tuple[TraceNode, ...]
    sums: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The trees behind one headline."""

    key: str
    title: str
    roots: tuple[TraceNode, ...]


def traces(result: PlanResult) -> tuple[Trace, ...]:
    """The explanation as trees: the four headlines first, terms that belong to none of them last."""
    by_parent: dict[str | None, list[Term]] = {}
    by_name = {term.name: term for term in result.explanation}
    for term in result.explanation:
        by_parent.setdefault(term.parent if term.parent in by_name else None, []).append(term)
    found: list[Trace] = []
    shown: set[str] = set()
    for key, (title, names) in HEADLINES.items():
        roots = [by_name[name] for name in names if name in by_name]
        shown |= {term.name for term in roots} | {
            name for term in roots for name in RESTS_ON.get(term.name, ())
        }
        if roots:
            nodes = tuple(_node(term, by_parent, by_name) for term in roots)
            found.append(Trace(key=key, title=title, roots=nodes))
    rest = tuple(
        _node(term, by_parent, by_name) for term in by_parent.get(None, []) if term.name not in shown
    )
    if rest:
        found.append(Trace(key="rest", title="Everything else", roots=rest))
    return tuple(found)


def _node(
    term: Term, by_parent: dict[str | None, list[Term]], by_name: dict[str, Term], depth: int = 0
) -> TraceNode:
    # Parts that are zero (the bubble of a single stage) are left out; the sum does not change.
    children = [child for child in by_parent.get(term.name, []) if child is not term and child.value]
    children += [by_name[name] for name in RESTS_ON.get(term.name, ()) if name in by_name]
    if depth >= MAX_TRACE_DEPTH:
        children = []
    return TraceNode(
        name=spoken(term.name),
        value=formats.in_unit(term.value, term.unit),
        formula=term.formula,
        source=term.source,
        children=tuple(_node(child, by_parent, by_name, depth + 1) for child in children),
        sums=sum(1 for child in children if child.part) > 1,
    )


def spoken(name: str) -> str:
    """A term's name for people: optimizer_state_bytes -> Optimizer state."""
    if name in SPOKEN:
        return SPOKEN[name]
    words = name
    for suffix in ("_bytes_per_s", "_flops_per_s", "_bytes", "_flops", "_s", "_usd"):
        words = words.removesuffix(suffix)
    text = words.replace("_", " ").replace(".", ": ").strip() or name
    return text if text.isupper() else text[0].upper() + text[1:]
