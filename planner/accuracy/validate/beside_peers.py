"""Our errors next to those that other estimators report: ``make bench-accuracy``.

Calculon's own test is Korthikanti et al. 2022, table 5, to which our constants are never fitted. For all
other measured runs no peer reports a figure; ours are those of fits that had not seen the run's group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import expm1
from statistics import fmean

from planner.accuracy.calibration import shipped_calibration
from planner.accuracy.validate.document import unseen_error
from planner.accuracy.validate.peers import CALCULON_SUMMARY, ELSEWHERE, PeerFigure, read_peers
from planner.accuracy.validate.predictions import GOLDEN_SOURCE, Prediction, predictions


def mean_and_largest(errors: Iterable[float]) -> str:
    """Mean and largest absolute error, as text."""
    sizes = [abs(each) for each in errors]
    return f"mean {fmean(sizes):6.2%}   largest {max(sizes):6.2%}"


def peer_lines(golden: Sequence[Prediction], peers: dict[str, PeerFigure]) -> list[str]:
    """One line per case that a peer publishes, then both means."""
    peer = peers[golden[0].row_id]
    lines = [
        "Korthikanti et al. 2022, table 5 (A100, Megatron-LM); never fitted",
        f"{peer.peer}: {peer.source}, {peer.as_of}",
        "",
        f"{'case':18s} {'measured':>9s}   {'ours':>8s} {'error':>7s}   {peer.peer:>8s} {'error':>7s}",
    ]
    ours, theirs = [], []
    for each in golden:
        other = peers[each.row_id].predicted_s
        ours.append(expm1(each.residual))
        theirs.append(other / each.measured - 1.0)
        lines.append(
            f"{each.row_id.removeprefix('korthikanti-'):18s} {each.measured:7.2f} s   "
            f"{each.predicted:6.2f} s {ours[-1]:+7.1%}   {other:6.2f} s {theirs[-1]:+7.1%}"
        )
    return [
        *lines,
        "",
        f"ours       {mean_and_largest(ours)}",
        f"{peer.peer:10s} {mean_and_largest(theirs)}   ({CALCULON_SUMMARY})",
    ]


def other_lines(found: Sequence[Prediction]) -> list[str]:
    """Sources for which no peer reports a figure: only our errors, with the run's group left out."""
    lines = ["", "Step times that no peer reports a figure for; ours, leaving the run's group out", ""]
    for source in dict.fromkeys(each.source for each in found):
        own = [unseen_error(each) for each in found if each.source == source]
        lines.append(f"{source:24s} {len(own):4d} runs   {mean_and_largest(own)}   peers: none reported")
    return [*lines, f"{'all':24s} {len(found):4d} runs   {mean_and_largest(map(unseen_error, found))}"]


def main() -> None:
    """Print the comparison."""
    steps = [each for each in predictions(shipped_calibration()) if each.quantity == "step time"]
    golden = [each for each in steps if each.source == GOLDEN_SOURCE]
    lines = peer_lines(golden, read_peers()) + other_lines([each for each in steps if each.fitted])
    lines += ["", "Errors that other estimators report, on runs of their own:"]
    lines += [f"  {name}: {figure} ({where})" for name, figure, where in ELSEWHERE]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
