"""What leaves the partitions page as a file: steps as a script, placements as CSV, other projects' files.

Each is of the same answer that the page shows; nothing is worked out here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

from planner.mig.exports.kubernetes import device_plugin, dra, gpu_operator
from planner.mig.exports.layouts import host_layouts
from planner.mig.exports.mig_parted import mig_parted
from planner.mig.exports.slurm import slurm
from planner.mig.placement.question import Answer, Gpus, Placement, Question
from planner.mig.placement.steps import steps


@dataclass(frozen=True, slots=True)
class HostSteps:
    """The steps of hosts on which the same is done. text: the commands, to copy."""

    hosts: tuple[str, ...]
    slug: str
    lines: tuple[tuple[str, str], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Export:
    """A file of another project. name: what it is saved as."""

    slug: str
    title: str
    note: str
    name: str
    text: str


def hosts(groups: Sequence[Gpus], answer: Answer) -> list[HostSteps]:
    """The steps in the order in which they are run on a host; hosts with the same steps together."""
    together: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for host, lines in _by_host(groups, answer).items():
        together.setdefault(tuple(lines), []).append(host)
    return [
        HostSteps(
            tuple(filter(None, named)), f"steps-{number}", lines, "\n".join(command for command, _ in lines)
        )
        for number, (lines, named) in enumerate(together.items())
    ]


def _by_host(groups: Sequence[Gpus], answer: Answer) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for step in steps(groups, answer):
        found.setdefault(step.host, []).append((step.command, step.words))
    return found


def script(groups: Sequence[Gpus], answer: Answer) -> str:
    """All steps as a shell script, in which each host does its part; it stops at the first that fails."""
    lines = [
        "#!/bin/sh",
        "# MIG partitions, planned by Headroom. Run as root on the host that each part names.",
    ]
    lines += ["# It stops at the first command that fails.", "set -eu"]
    found = _by_host(groups, answer)
    for host, commands in found.items():
        if host:
            named = quote(host)
            lines += ["", f'if [ "$(hostname)" = {named} ] || [ "$(hostname -s)" = {named} ]; then']
        indent = "  " if host else ""
        for command, words in commands:
            lines += [f"{indent}# {words}", f"{indent}{command}"]
        if host:
            lines.append("fi")
    if not found:
        lines.append("# Nothing has to be changed.")
    return "\n".join(lines) + "\n"


def exports(groups: Sequence[Gpus], answer: Answer) -> tuple[Export, ...]:
    """The layout as files of the projects that partition GPUs or hand them out."""
    layouts = host_layouts(groups, answer)
    if not layouts:
        return ()
    return (
        Export(
            "mig-parted",
            "mig-parted",
            "It says how many, not where: it destroys and makes anew "
            "whatever differs, and stops where an instance is in use. The steps above do neither.",
            "mig-parted.yaml",
            mig_parted(layouts),
        ),
        Export(
            "gpu-operator",
            "GPU operator",
            "A config map for its MIG manager, which runs mig-parted.",
            "gpu-operator.yaml",
            gpu_operator(layouts),
        ),
        Export(
            "device-plugin",
            "Kubernetes device plugin",
            "Its configuration, with the resources that pods then ask for.",
            "device-plugin.yaml",
            device_plugin(layouts),
        ),
        Export("dra", "Kubernetes DRA", "A claim template for each profile.", "dra.yaml", dra(layouts)),
        Export("slurm", "Slurm", "Lines of gres.conf and slurm.conf.", "slurm.conf", slurm(layouts)),
    )


SCRIPT = "steps.sh"


def file_text(name: str, question: Question, answer: Answer) -> str | None:
    """One file by the name that it is saved as; None where there is none of it."""
    if name == SCRIPT:
        return script(question.gpus, answer)
    return next((each.text for each in exports(question.gpus, answer) if each.name == name), None)


CSV_HEAD = ("gpu", "host", "index", "accelerator", "profile", "start", "memory_slices", "state", "demand")


def csv_rows(question: Question, answer: Answer) -> Iterable[tuple[object, ...]]:
    """Every instance before and after, a row each; then what found no place, with why."""
    yield CSV_HEAD
    for placement in sorted(
        (*answer.placements, *answer.staying, *answer.destroyed), key=lambda each: (each.gpu, each.place)
    ):
        group = next(group for group in question.gpus if placement.gpu in group.numbers)
        host, index = group.host_of(placement.gpu)
        place = placement.place
        wanted = "" if placement.demand is None else question.demands[placement.demand].label
        yield (
            placement.gpu, host, index, group.chip.slug, place.profile, place.start, place.size,
            _state(placement, answer), wanted,
        )  # fmt: skip
    for each in answer.unplaced:
        wanted = question.demands[each.demand].label
        yield ("", "", "", "", "", "", "", f"no place for {each.count}: {each.reason}", wanted)


def _state(placement: Placement, answer: Answer) -> str:
    if placement in answer.destroyed:
        return "destroyed"
    if placement.demand is not None:
        return "kept" if placement.kept else "created"
    return "in use" if placement.in_use else "stays"
