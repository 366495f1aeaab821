"""Carries out printed commands on the placement model as the driver would; what it refuses is an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from planner.mig.placement.chip import Chip, Placed
from planner.mig.placement.question import Gpus

COMMAND = re.compile(r"^nvidia-smi mig -i (?P<gpus>[\d,]+) (?P<rest>.+)$")
ENABLED = re.compile(r"^nvidia-smi -i (?P<gpus>[\d,]+) -mig 1$")
LOOKED_UP = re.compile(
    r"^\$\(nvidia-smi mig -i \d+ -lgi \| "
    r"awk '\$4==\"(?P<profile>[^\"]+)\" && \$7==\"(?P<start>\d+):(?P<size>\d+)\" \{print \$6\}'\)$"
)


class RefusedError(ValueError):
    """The driver would not do this."""


@dataclass
class Instance:
    """A GPU instance of the model. compute: whether a compute instance is in it."""

    place: Placed
    in_use: bool = False
    compute: bool = True


@dataclass
class Gpu:
    """One GPU of the model: its instances by number."""

    chip: Chip
    mig_mode: bool = True
    instances: dict[int, Instance] = field(default_factory=dict)

    def add(self, number: int | None, instance: Instance) -> None:
        """Put an instance there.  Raises RefusedError where it does not fit."""
        problem = self.chip.problem([*(each.place for each in self.instances.values()), instance.place])
        if problem is not None:
            raise RefusedError(problem)
        free = (each for each in range(1, 1000) if each not in self.instances)
        self.instances[next(free) if number is None else number] = instance


class Machines:
    """GPUs by host and index."""

    def __init__(self, groups: Iterable[Gpus]) -> None:
        self.gpus: dict[tuple[str, int], Gpu] = {}
        for group in groups:
            for number in group.numbers:
                gpu = Gpu(group.chip, group.mig_mode)
                for each in group.standing:
                    if each.gpu_instance_id is not None:
                        gpu.add(each.gpu_instance_id, Instance(each.place, each.in_use))
                for each in group.standing:
                    if each.gpu_instance_id is None:
                        gpu.add(None, Instance(each.place, each.in_use))
                self.gpus[group.host_of(number)] = gpu

    def run(self, host: str, commands: Sequence[str]) -> None:
        """Carry out commands on one host.  Raises RefusedError at the first that the driver would refuse."""
        for command in commands:
            self._run(host, command)

    def _run(self, host: str, command: str) -> None:
        if enabled := ENABLED.match(command):
            for gpu in self._named(host, enabled["gpus"]):
                if any(each.in_use for each in gpu.instances.values()):
                    raise RefusedError("MIG mode cannot be switched while something runs.")
                gpu.mig_mode = True
            return
        found = COMMAND.match(command)
        if not found:
            raise RefusedError(f"Not a command that is known here: {command}")
        for gpu in self._named(host, found["gpus"]):
            if not gpu.mig_mode:
                raise RefusedError("MIG mode is off.")
            self._change(gpu, found["rest"])

    def _named(self, host: str, indices: str) -> list[Gpu]:
        return [self.gpus[host, int(index)] for index in indices.split(",")]

    def _change(self, gpu: Gpu, rest: str) -> None:
        words = rest.split(" ", 2)
        if words[0] == "-cgi":
            for each in words[1].split(","):
                number, start = each.split(":")
                profile = next(p for p in gpu.chip.profiles if p.number == int(number))
                problem = gpu.chip.place_problem(profile.name, int(start))
                if problem is not None:
                    raise RefusedError(problem)
                place = Placed(int(start), profile.size, profile.name)
                gpu.add(None, Instance(place, compute="-C" in rest))
        elif words[0] in ("-dci", "-dgi") and words[1] == "-gi":
            there = self._number(gpu, words[2])
            instance = gpu.instances[there]
            if instance.in_use:
                raise RefusedError(f"{instance.place} is in use.")
            if words[0] == "-dci":
                instance.compute = False
            elif instance.compute:
                raise RefusedError(f"{instance.place} holds compute instances.")
            else:
                del gpu.instances[there]
        else:
            raise RefusedError(f"Not a change that is known here: {rest}")

    def _number(self, gpu: Gpu, text: str) -> int:
        if looked_up := LOOKED_UP.match(text):
            place = Placed(int(looked_up["start"]), int(looked_up["size"]), looked_up["profile"])
            matching = [number for number, each in gpu.instances.items() if each.place == place]
            if not matching:
                raise RefusedError(f"There is no {place}.")
            return matching[0]
        if not text.isdigit() or int(text) not in gpu.instances:
            raise RefusedError(f"There is no GPU instance {text}.")
        return int(text)

    def layout(self, host: str, index: int) -> tuple[Placed, ...]:
        """Where instances stand on one GPU."""
        return tuple(sorted(each.place for each in self.gpus[host, index].instances.values()))
