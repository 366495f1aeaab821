"""``docs/validation.md``, filled from the report's tables by ``make validate``; never edited by hand.

The prose is in ``template.md``; the tables are made here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import expm1
from pathlib import Path
from statistics import fmean
from typing import Any

from planner.accuracy.bills import bills
from planner.accuracy.calibration import shipped_calibration
from planner.accuracy.famous import famous_runs
from planner.accuracy.totals import median_error
from planner.accuracy.validate.known_causes import cause, cause_of_source
from planner.accuracy.validate.peers import ELSEWHERE, read_peers
from planner.accuracy.validate.predictions import GOLDEN_SOURCE, MEMORY_QUANTITIES, Prediction
from planner.accuracy.validate.summary import Judged

TEMPLATE = Path(__file__).with_name("template.md")
GIB = 2.0**30
LARGEST_SHOWN = 15
#: Sources of a class that are shown with what their errors rest on.
REMAINING_SHOWN = 6
ERROR_HEAD = (
    "figures",
    "shipped",
    "leave one group out",
    "leave one source out",
    "median",
    "largest",
    "inside the 80 % range",
)
ERROR_COLUMNS = ("shipped", "by_group", "by_source", "median", "largest", "covered_by_group")


def document(report: dict[str, Any], rows: Sequence[Judged]) -> str:
    """The page as Markdown."""
    tables = report["tables"]
    step, memory, verdicts = tables["step_time"], tables["memory"], tables["verdicts"]
    peer = next(iter(read_peers().values()))
    wrong = verdicts["failed_said_to_fit"] + verdicts["ran_said_to_fail"]
    timing = shipped_calibration().provenance["timing"]
    found = [row.prediction for row in rows]
    steps = [each for each in found if each.quantity == "step time" and each.fitted]
    peaks = [each for each in found if each.quantity in MEMORY_QUANTITIES and each.fitted]
    return TEMPLATE.read_text(encoding="utf-8").format(
        calibrated_on=report["calibrated_on"],
        **report["fitted"],
        unseen_by_class=unseen_by_class(timing),
        of_one_source=of_one_source(timing["of_one_source"]),
        what_remains=what_remains(steps),
        memory_remains=what_remains(peaks, memory=True),
        by_group=percent(step["by_group"]),
        by_source=percent(step["by_source"]),
        golden=percent(tables["golden"]["shipped"]),
        memory=percent(memory["by_group"]),
        step_time=error_lines("All runs", [step]),
        step_time_by_source=error_lines("Source", tables["step_time_by_source"]),
        step_time_by_accelerator=error_lines("Accelerator", tables["step_time_by_accelerator"]),
        step_time_by_framework=error_lines("Framework", tables["step_time_by_framework"]),
        coverage=coverage_lines(tables),
        peer_source=f"{peer.source}, {peer.as_of}",
        golden_rows=golden_lines(found),
        **bill_figures(),
        **famous_figures(),
        elsewhere="\n".join(f"- {name}: {figure} ({where})." for name, figure, where in ELSEWHERE),
        memory_by_kind=error_lines("Kind", [memory, *tables["memory_by_kind"], tables["resident_memory"]]),
        memory_by_source=error_lines("Source", tables["memory_by_source"]),
        verdict_right=percent(verdicts["right"]),
        verdict_runs=verdicts["runs"],
        verdict_failed=verdicts["failed_runs"],
        verdict_missed="" if not wrong else f"Wrong: {', '.join(f'`{name}`' for name in wrong)}.",
        **rl_errors(),
        ppo=error_lines("Quantity", tables["ppo"]),
        ppo_rows=ppo_lines(found),
        largest_step_time=largest_lines(steps),
        largest_memory=largest_lines(peaks),
    )


def unseen_by_class(timing: Mapping[str, Any]) -> str:
    """Mean error on sources left out, by class, in words. timing: provenance of the constants."""
    errors = timing["relative_error"]["leave_one_source_out"]["by_source_and_class"]
    named = {"pretraining": "pretraining", "encoder": "encoders", "finetuning": "fine-tuning"}
    return ", ".join(f"{word} {percent(errors[kind])}" for kind, word in named.items())


def of_one_source(rules: Mapping[str, str]) -> str:
    """Constants that rest on one source, or on none, in words."""
    by_source: dict[str, list[str]] = {}
    for constant, source in rules.items():
        by_source.setdefault("their prior" if source == "prior" else source, []).append(f"`{constant}`")
    return "; ".join(f"{source}: {', '.join(names)}" for source, names in sorted(by_source.items()))


def what_remains(steps: Sequence[Prediction], *, memory: bool = False) -> str:
    """The table of the sources that count most in the error on sources left out, by class."""
    errors: dict[str, dict[str, list[float]]] = {}
    for each in steps:
        if each.by_source is not None:
            of_class = errors.setdefault(each.kind, {})
            of_class.setdefault(each.source, []).append(abs(expm1(each.by_source)))
    lines = []
    for kind, sources in errors.items():
        means = {source: fmean(found) for source, found in sources.items()}
        whole = sum(means.values())
        for source in sorted(means, key=lambda name: -means[name])[:REMAINING_SHOWN]:
            share = means[source] / whole
            why = cause_of_source(source, memory=memory)
            lines.append((kind, source, percent(means[source]), percent(share), why))
    return table(("Class", "source", "mean error", "share of the class's", "cause"), lines)


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    marks = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, marks, *lines)) + "\n"


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal; empty for None."""
    return "" if value is None else f"{value * 100:.1f} %"


def signed(value: float) -> str:
    """A share as a signed percentage with one decimal."""
    return f"{value * 100:+.1f} %".replace("-", "−")


def amount(value: float, unit: str) -> str:
    """A number of bytes in GiB, or of seconds."""
    if unit == "byte":
        return f"{value / GIB:.1f} GiB"
    return f"{value:,.0f} s" if value >= 1000 else f"{value:.3g} s"


def error_lines(title: str, lines: Sequence[dict[str, Any]]) -> str:
    """An error table."""
    return table(
        (title, *ERROR_HEAD),
        ((row["name"], str(row["figures"]), *(percent(row[key]) for key in ERROR_COLUMNS)) for row in lines),
    )


def coverage_lines(tables: dict[str, Any]) -> str:
    """The table of how often ranges hold and how wide they are, by class, chip and stack."""
    return table(
        ("Quantity", "figures", "sources", "leave one group out", "leave one source out", "high over low"),
        (
            (
                row["name"],
                str(row["figures"]),
                str(row["sources"]),
                percent(row["covered_by_group"]),
                percent(row["covered_by_source"]),
                "" if row["width"] is None else f"{row['width']:.2f}",
            )
            for row in tables["ranges"]
        ),
    )


def golden_lines(found: Sequence[Prediction]) -> str:
    """The table of the held-out benchmark, with Calculon's errors."""
    peers = read_peers()
    golden = [each for each in found if each.source == GOLDEN_SOURCE]
    theirs = [peers[each.row_id].predicted_s / each.measured - 1.0 for each in golden]
    ours = [expm1(each.residual) for each in golden]
    lines = [
        (
            each.row_id.removeprefix("korthikanti-").replace("-", ", "),
            f"{each.measured:.2f} s",
            f"{each.predicted:.2f} s",
            signed(own),
            f"{peers[each.row_id].predicted_s:.2f} s",
            signed(other),
        )
        for each, own, other in zip(golden, ours, theirs, strict=True)
    ]
    last = ("mean, largest", "", "", mean_and_largest(ours), "", mean_and_largest(theirs))
    return table(("Model, recompute", "measured", "ours", "error", "Calculon", "error"), [*lines, last])


#: Error within which a bill counts as met.
NEAR = 0.15


def bill_figures() -> dict[str, str]:
    """The table of public bills, how many are near, and the median error, as text."""
    found = bills()
    lines = [
        (
            each.name,
            each.machines,
            f"{each.published_hours:,.0f}",
            f"{each.predicted_hours:,.0f}",
            signed(each.error),
            "yes" if each.covered else "no",
        )
        for each in found
    ]
    head = ("Run", "machines", "published hours", "ours", "error", "range holds it")
    return {
        "bills": table(head, lines),
        "bills_near": f"{sum(abs(each.error) <= NEAR for each in found)} of {len(found)}",
        "bills_median": percent(median_error(found)),
    }


def famous_figures() -> dict[str, str]:
    """The table of famous runs that were asked once, how many ranges hold, and the errors, as text."""
    found = famous_runs()
    lines = [
        (
            each.name,
            each.machines,
            hours(each.published_hours),
            hours(each.predicted_hours),
            signed(each.error),
            "yes" if each.covered else "no",
            f"{each.note} ({each.source}, {each.as_of})",
        )
        for each in found
    ]
    head = ("Run", "machines", "published hours", "ours", "error", "range holds it", "what was asked")
    return {
        "famous": table(head, lines),
        "famous_held": f"{sum(each.covered for each in found)} of {len(found)}",
        "famous_median": percent(median_error(found)),
        "famous_quicker": f"{sum(each.high < each.published_hours for each in found)}",
    }


def hours(value: float) -> str:
    """Hours with three digits at most."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def mean_and_largest(errors: Sequence[float]) -> str:
    """Mean and largest absolute error, as text."""
    sizes = [abs(each) for each in errors]
    return f"{fmean(sizes) * 100:.2f} %, {max(sizes) * 100:.2f} %"


def rl_errors() -> dict[str, str]:
    """What the fit of reinforcement learning says of itself, as text."""
    said = shipped_calibration().provenance["rollout"]
    errors = said["relative_error"]
    unseen = errors["leave_one_source_out"]
    return {
        "rl_fit": percent(errors["fit"]["step"]),
        "rl_unseen": percent(unseen["step"]),
        "rl_coverage": percent(said["nested_coverage"]["mean"]),
        "rl_phases": ", ".join(
            f"{name} {percent(unseen[name])}" for name in ("generation", "scoring", "training")
        ),
    }


def ppo_lines(found: Sequence[Prediction]) -> str:
    """The table of PPO runs."""
    return table(
        ("Run", "quantity", "measured", "predicted", "predicted / measured"),
        (
            (
                each.row_id,
                each.quantity,
                amount(each.measured, each.unit),
                amount(each.predicted, each.unit),
                f"{each.predicted / each.measured:.2f}",
            )
            for each in found
            if each.kind == "rlhf"
        ),
    )


def unseen_error(each: Prediction) -> float:
    """Signed error as a share, by a fit without the run's group where there is one."""
    return expm1(each.by_group if each.by_group is not None else each.residual)


def largest_lines(found: Sequence[Prediction]) -> str:
    """The table of the largest errors with their causes."""
    return table(
        ("Run", "model", "quantity", "measured", "predicted, shipped", "error unseen", "cause"),
        (
            (
                each.row_id,
                f"{each.model} on {each.accelerators} x {each.accelerator}",
                each.quantity,
                amount(each.measured, each.unit),
                amount(each.predicted, each.unit),
                signed(unseen_error(each)),
                cause(each.row_id, each.quantity),
            )
            for each in worst_of_groups(found, lambda each: abs(unseen_error(each)))[:LARGEST_SHOWN]
        ),
    )


def worst_of_groups(found: Sequence[Prediction], size: Callable[[Prediction], float]) -> list[Prediction]:
    """The worst prediction of each group, the worst group first."""
    worst: dict[str, Prediction] = {}
    for each in sorted(found, key=size, reverse=True):
        worst.setdefault(each.group, each)
    return list(worst.values())
