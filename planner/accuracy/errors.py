"""Errors of many figures in few: lines of the page's table, and the sentences that it begins with.

Means are of absolute errors. ``by_source`` is the headline: of constants that had not seen the figure's
source, each source counting the same, however many runs it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from planner.accuracy.report import CLASSES, PEAK, STEP, ValidatedRun, ValidationReport, share

#: Shares of figures that an honest 80 % range holds on sources that it has not seen, within chance.
HONEST = (0.75, 0.88)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLine:
    """Errors of one group of figures, as shares; None where no fit left them out.

    by_source: each source counts the same.  by_figure: each figure does.  width: median of upper over lower
    end of the 80 % range.
    """

    name: str
    figure: str
    figures: int
    sources: int
    by_source: float | None
    by_figure: float | None
    by_group: float | None
    shipped: float
    largest: float
    covered: float | None
    width: float | None


def mean_size(values: Iterable[float | None]) -> float | None:
    """Mean of absolute values, without those that are not known; None for none."""
    known = [abs(value) for value in values if value is not None]
    return fmean(known) if known else None


def balanced(runs: Sequence[ValidatedRun]) -> float | None:
    """Mean error with the source left out, each source counting the same; None where no fit left them out."""
    sources: dict[str, list[float]] = {}
    for run in runs:
        if run.by_source is not None:
            sources.setdefault(run.source, []).append(abs(run.by_source))
    return fmean(fmean(errors) for errors in sources.values()) if sources else None


def held(runs: Sequence[ValidatedRun]) -> float | None:
    """Share of figures that lie inside a range made without their source; None where none was judged."""
    known = [run.covered_by_source for run in runs if run.covered_by_source is not None]
    return fmean(known) if known else None


def error_line(name: str, figure: str, runs: Sequence[ValidatedRun]) -> ErrorLine:
    """One line of the table."""
    widths = [run.width for run in runs if run.width is not None]
    return ErrorLine(
        name=name,
        figure=figure,
        figures=len(runs),
        sources=len({run.source for run in runs}),
        by_source=balanced(runs),
        by_figure=mean_size(run.by_source for run in runs),
        by_group=mean_size(run.by_group for run in runs),
        shipped=fmean(abs(run.error) for run in runs),
        largest=max(abs(run.unseen) for run in runs),
        covered=held(runs),
        width=median(widths) if widths else None,
    )


def error_lines(runs: Sequence[ValidatedRun], of: Callable[[ValidatedRun], str]) -> list[ErrorLine]:
    """A line for each value of ``of`` and kind of figure, in the order in which the runs bring them."""
    grouped: dict[tuple[str, str], list[ValidatedRun]] = {}
    for run in runs:
        grouped.setdefault((of(run), run.figure), []).append(run)
    return [error_line(name, figure, group) for (name, figure), group in grouped.items()]


def steps(report: ValidationReport, kind: str = "") -> tuple[ValidatedRun, ...]:
    """Step times with a fit that had not seen their source; never the held-out benchmark."""
    return tuple(
        run
        for run in report.chosen(kind=kind, figure=STEP)
        if run.by_source is not None and run not in report.unfitted
    )


def sentences(report: ValidationReport) -> tuple[str, ...]:
    """What a doubter should read first: the errors on unseen sources before all others."""
    everything = steps(report)
    memory = report.chosen(figure=PEAK)
    sources = len({run.source for run in everything})
    first = (
        f"On sources that the fit had not seen, a step is off by {share(balanced(everything))} on average "
        f"over {sources} sources, each left out in turn and counting the same ({by_class(report)}); that is "
        "what to expect of a stack and machines of your own."
    )
    ranges = (
        f"The 80 % ranges, made without the source too, held {share(held(everything))} of its step times and "
        f"{share(held(memory))} of its peaks of memory; peak memory is {share(balanced(memory))} off there."
    )
    golden = (
        f"On the {len(report.unfitted)} runs of Korthikanti et al. 2022, which are never fitted, the error "
        f"was {share(report.before_looking)} before its errors were looked at, "
        f"{share(report.after_looking)} after; today's constants are "
        f"{share(mean_size(run.error for run in report.unfitted))} off. Only the first of these was blind."
    )
    right, runs = report.verdicts["right"], report.verdicts["runs"]
    verdicts = (
        f"Of {runs:,} runs, {share(right)} are judged rightly to fit or not; "
        f"{report.verdicts['failed_runs']} of them ran out of memory."
    )
    return first, ranges, golden, verdicts


def by_class(report: ValidationReport) -> str:
    """``pretraining 8.9 %, fine-tuning 10.1 %``: errors on unseen sources by class."""
    found = [(name, balanced(steps(report, kind))) for kind, name in CLASSES.items()]
    return ", ".join(f"{name} {share(error)}" for name, error in found if error is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Our errors and another estimator's on the same published runs, as shares. how: what theirs is of."""

    benchmark: str
    query_source: str
    figures: int
    unseen: float | None
    shipped: float | None
    peer: str
    theirs: float
    how: str

    @property
    def unseen_text(self) -> str:
        """Ours with the source left out, as shown."""
        return share(self.unseen)

    @property
    def shipped_text(self) -> str:
        """Ours by the constants in use, as shown; empty where they were never fitted to these runs."""
        return share(self.shipped)

    @property
    def theirs_text(self) -> str:
        """The other's, as shown."""
        return share(self.theirs)


def beside_peers(report: ValidationReport) -> list[Beside]:
    """Each benchmark that another estimator reports an error on, where the report has runs of it."""
    golden = report.unfitted
    found = [
        Beside(
            benchmark="Korthikanti et al. 2022, table 5",
            query_source=golden[0].source,
            figures=len(golden),
            unseen=mean_size(run.by_source for run in golden),
            shipped=None,
            peer=f"{report.peer.name} (Isaev et al. 2023)",
            theirs=report.peer.mean,
            how=f"on the same runs; {report.peer.source}",
        )
    ]
    for mean in report.peer_means:
        runs = report.chosen(source=mean.our_source, figure=STEP)
        if runs:
            found.append(
                Beside(
                    benchmark=mean.benchmark,
                    query_source=mean.our_source,
                    figures=len(runs),
                    unseen=mean_size(run.by_source for run in runs),
                    shipped=mean_size(run.error for run in runs),
                    peer=mean.peer,
                    theirs=mean.mean_error,
                    how=f"{mean.how} ({mean.figures}); {mean.source}, {mean.as_of}",
                )
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRows:
    """What the rows of one stack are: figures, and the sources and accelerators that they are from."""

    name: str
    figures: int
    sources: str
    accelerators: str


def stack_rows(report: ValidationReport) -> list[StackRows]:
    """Each stack with its rows, the largest sources first."""
    found = []
    for stack in report.values_of("framework"):
        runs = report.chosen(framework=stack)
        found.append(
            StackRows(
                name=stack,
                figures=len(runs),
                sources=counted(run.source for run in runs),
                accelerators=counted(run.accelerator for run in runs),
            )
        )
    return found


def counted(values: Iterable[str]) -> str:
    """``llm-foundry (128), torchtitan (40)``: each value with its count, the most frequent first."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{value} ({count:,})" for value, count in ordered)
