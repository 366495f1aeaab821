"""The way from the present layout to another: as few instances destroyed as can be, in an order that works.

Steps are printed for a person to run; nothing here touches a GPU.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from planner.mig.placement.question import Answer, Gpus, Placement, Standing

ENABLE, DESTROY, CREATE = "enable", "destroy", "create"


@dataclass(frozen=True, slots=True)
class Step:
    """One command on one host.

    kind: ``enable`` (MIG mode), ``destroy`` or ``create``.  indices: the GPUs on their host.
    command: what a person runs there.  words: what it does, and what it costs.
    resets_gpu: the GPU is reset by it, so that nothing may run on it and a machine may have to be rebooted.
    """

    kind: str
    host: str
    indices: tuple[int, ...]
    command: str
    words: str
    resets_gpu: bool = False


def steps(groups: Sequence[Gpus], answer: Answer) -> list[Step]:
    """What brings the GPUs to the answer's layout: modes first, then a GPU's destroying before its creating.

    GPUs of a host on which the same is done are done in one command.
    """
    gone: dict[int, list[Placement]] = defaultdict(list)
    made: dict[int, list[Placement]] = defaultdict(list)
    for placement in answer.destroyed:
        gone[placement.gpu].append(placement)
    for placement in answer.placements:
        if not placement.kept:
            made[placement.gpu].append(placement)
    found: list[Step] = []
    for group in groups:
        changed = [number for number in group.numbers if gone[number] or made[number]]
        if not group.mig_mode:
            found += _merged(group, ((number, _enable_command, _enable_words(group)) for number in changed))
        found += _destroyed(group, changed, gone)
        found += _merged(
            group,
            (
                (number, _create_command(group, made[number]), _create_words(made[number]))
                for number in changed
                if made[number]
            ),
        )
    order = {ENABLE: 0, DESTROY: 1, CREATE: 2}
    return sorted(found, key=lambda step: (step.host, order[step.kind]))


def _standing(group: Gpus, placement: Placement) -> Standing:
    return next(each for each in group.standing if each.place == placement.place)


_enable_command = "nvidia-smi -i {index} -mig 1"


def _enable_words(group: Gpus) -> str:
    if group.chip.resets_for_mode:
        return (
            f"Switch MIG mode on. {group.chip.name} is reset for it: nothing may run on the GPU, monitoring "
            "such as DCGM included, and where a reset is not possible (a virtual machine with the GPU passed "
            "through) the machine is rebooted. The mode stays on after later reboots."
        )
    first = f" {group.chip.before_mode}" if group.chip.before_mode else ""
    return (
        f"Switch MIG mode on; no reset is needed, but nothing may run on the GPU.{first} The mode is off "
        "again after a reboot."
    )


def _destroyed(
    group: Gpus, changed: Iterable[int], gone: Mapping[int, Sequence[Placement]]
) -> Iterator[Step]:
    """What destroys instances; those of the same number and place on several GPUs of a host go together."""
    together: dict[tuple[str, str, Standing], list[int]] = {}
    for number in changed:
        host, index = group.host_of(number)
        for placement in sorted(gone.get(number, ()), key=lambda p: p.place):
            standing = _standing(group, placement)
            together.setdefault((host, instance_id(index, standing), standing), []).append(index)
    for (host, instance, standing), indices in together.items():
        at = ",".join(map(str, indices))
        what = f"the {standing.place.profile} at {standing.place.start}"
        first = "Stop what runs in it first. " if standing.in_use else ""
        parts = f"{first}Destroy the compute instances in {what}."
        yield Step(DESTROY, host, tuple(indices), f"nvidia-smi mig -i {at} -dci -gi {instance}", parts)
        whole = f"nvidia-smi mig -i {at} -dgi -gi {instance}"
        yield Step(DESTROY, host, tuple(indices), whole, f"Destroy {what}.")


def instance_id(index: int, standing: Standing) -> str:
    """The driver's number of an instance, or a look-up of it by profile and place where it is not known.

    The look-up reads the table that ``nvidia-smi mig -lgi`` prints (as in NVIDIA/go-nvml issue 146).
    """
    if standing.gpu_instance_id is not None:
        return str(standing.gpu_instance_id)
    place = standing.place
    return (
        f"$(nvidia-smi mig -i {index} -lgi | "
        f'awk \'$4=="{place.profile}" && $7=="{place.start}:{place.size}" {{print $6}}\')'
    )


def _create_command(group: Gpus, made: Iterable[Placement]) -> str:
    # Large ones first: NVIDIA's guide knows of an error where a 3g comes after smaller ones.
    tuples = ",".join(
        f"{group.chip.by_name[p.place.profile].number}:{p.place.start}"
        for p in sorted(made, key=lambda p: (-p.place.size, p.place))
    )
    return f"nvidia-smi mig -i {{index}} -cgi {tuples} -C"


def _create_words(made: Iterable[Placement]) -> str:
    return "Make " + ", ".join(str(p.place) for p in sorted(made, key=lambda p: p.place)) + "."


def _merged(group: Gpus, wanted: Iterable[tuple[int, str, str]]) -> list[Step]:
    """One step for all GPUs of a host with the same command."""
    together: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for number, command, words in wanted:
        host, index = group.host_of(number)
        together[host, command, words].append(index)
    return [
        Step(
            ENABLE if command == _enable_command else CREATE,
            host,
            tuple(indices),
            command.format(index=",".join(map(str, indices))),
            words,
            resets_gpu=command == _enable_command and group.chip.resets_for_mode,
        )
        for (host, command, words), indices in together.items()
    ]
