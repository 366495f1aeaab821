"""What the planner is asked: GPUs as they stand, demands, and what counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from planner.mig.placement.chip import Chip, Placed

ALL_PROFILES, MOVE_JOBS, ADD_GPUS = "all_profiles", "move_jobs", "add_gpus"
OBJECTIVES = ("fewest_gpus", "least_cost", "most_demand", "fewest_changes")


@dataclass(frozen=True, slots=True, order=True)
class Standing:
    """An instance that exists.  in_use: something runs in it, so that it is not destroyed.

    gpu_instance_id: the driver's number, None where it is not known; instances that differ in it alone are
    equal, so that GPUs in the same state are planned as one kind.  foreign: the catalog has no such profile;
    it is kept where it is, and nothing is put into it.
    """

    place: Placed
    in_use: bool = False
    gpu_instance_id: int | None = field(default=None, compare=False)
    foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """GPUs of one kind in one state.

    count: how many.  first: the number of the first one, counted over all of the question.
    mig_mode: False where it has to be switched on first.  labels: a name for each (host and index), or ().
    usd_per_gpu_hour: None where no price is known.  per_node: GPUs that are rented together.
    """

    chip: Chip
    count: int
    first: int = 0
    standing: tuple[Standing, ...] = ()
    mig_mode: bool = True
    hosts: tuple[tuple[str, int], ...] = ()
    usd_per_gpu_hour: float | None = None
    per_node: int = 1

    @property
    def in_use(self) -> bool:
        """Whether something runs in an instance of each of these GPUs."""
        return any(instance.in_use for instance in self.standing)

    @property
    def numbers(self) -> range:
        """The GPUs' numbers."""
        return range(self.first, self.first + self.count)

    def host_of(self, number: int) -> tuple[str, int]:
        """Host and index of one GPU; without hosts the index is its number."""
        return self.hosts[number - self.first] if self.hosts else ("", number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Instances that are wanted, all alike.

    accepts: by chip, the profiles that serve one of them, the smallest first.  label: what it is, in words.
    wider: as ``accepts`` where double-memory profiles serve too; None where that changes nothing.
    elsewhere: slugs and profiles of other chips that would serve it, where none of these does.
    """

    count: int
    accepts: Mapping[str, tuple[str, ...]]
    label: str = ""
    wider: Mapping[str, tuple[str, ...]] | None = None
    elsewhere: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """GPUs, demands, and what counts most.

    profiles: the choice of profiles whose later placement is kept possible (``standard``, ``all`` or names).
    in_use_serves: instances in use are among those demanded, and serve them; otherwise they are beside them.
    may_destroy_in_use: instances in use may be destroyed like others.
    time_limit_s: for the search, by the clock; None: the usual (``clock.Clock``).
    """

    gpus: Sequence[Gpus]
    demands: Sequence[Demand]
    objective: str = "fewest_gpus"
    profiles: str | tuple[str, ...] = "standard"
    in_use_serves: bool = True
    may_destroy_in_use: bool = False
    time_limit_s: float | None = None

    def names(self, chip: Chip) -> tuple[str, ...]:
        """The chip's profiles that are planned with: those chosen, and those that demands accept."""
        accepted = {name for demand in self.demands for name in demand.accepts.get(chip.slug, ())}
        chosen = set(chip.named(self.profiles))
        return tuple(p.name for p in chip.profiles if p.name in accepted | chosen)

    def useful(self, chip: Chip) -> tuple[str, ...]:
        """The chip's profiles that some demand accepts."""
        accepted = {name for demand in self.demands for name in demand.accepts.get(chip.slug, ())}
        return tuple(p.name for p in chip.profiles if p.name in accepted)


@dataclass(frozen=True, slots=True)
class Placement:
    """An instance in the answer.  demand: the number of the demand that it serves, None where it serves none.

    kept: it exists already; otherwise it is to be made.
    """

    gpu: int
    place: Placed
    demand: int | None
    kept: bool
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class Unplaced:
    """Instances of one demand that found no place, and why."""

    demand: int
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change with which all that can be served would be.

    kind: ``all_profiles`` (double-memory ones serve too), ``move_jobs`` or ``add_gpus``.  count: jobs moved,
    or GPUs added.  gpus: how many of each chip are added, by slug.  proven: no smaller change of the kind
    does it.
    """

    kind: str
    count: int
    gpus: tuple[tuple[str, int], ...] = ()
    proven: bool = True

    @property
    def words(self) -> str:
        """The change as a sentence."""
        if self.kind == ALL_PROFILES:
            return "Let double-memory profiles serve too (all profiles): all of it would be served."
        unsure = "" if self.proven else " (not proven fewest)"
        if self.kind == ADD_GPUS:
            listed = " and ".join(f"{count:,} more {slug}" for slug, count in self.gpus)
            return f"Add GPUs: {listed} would serve all of it{unsure}."
        jobs, them = ("job", "its instance") if self.count == 1 else ("jobs", "their instances")
        return (
            f"Move {self.count:,} running {jobs}: with {them} destroyed and made again elsewhere, all of it "
            f"is served{unsure}."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The layout that was found.

    placements: instances that serve a demand.  staying: those that stay and serve none, in use or idle.
    gpus_used: GPUs that serve a demand.
    value, bound: the objective's value, and the best that any layout could have; optimal where they meet.
    fewest_destroyed: whether it is proven that no layout as good destroys less, instances in use first.
    nearest_changes: what would give all that can be served a place; none where all have one.
    """

    placements: tuple[Placement, ...]
    staying: tuple[Placement, ...]
    unplaced: tuple[Unplaced, ...]
    gpus_used: int
    value: float
    bound: float
    optimal: bool
    elapsed_s: float
    created: int
    destroyed: tuple[Placement, ...] = ()
    usd_per_hour: float | None = None
    served: int = 0
    fewest_destroyed: bool = False
    nearest_changes: tuple[Change, ...] = ()

    @property
    def nearest_change(self) -> str:
        """The nearest changes in words."""
        return " Or: ".join(change.words for change in self.nearest_changes)
