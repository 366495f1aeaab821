"""Counts of configurations, and that they are just those that some order of creation reaches."""

from __future__ import annotations

from collections import Counter

import pytest

from planner.mig.placement.chip import MEDIA_ENGINES, Chip, Placed, Profile
from planner.mig.placement.enumeration import (
    arrangements,
    compute_instances,
    configurations,
    count,
    count_compute,
    maximal,
    multiset,
    next_places,
)
from tests.mig.asked import chip, placed

SEVEN = ("a100-sxm-40gb", "a100-sxm-80gb", "a100-pcie-80gb", "h100-sxm", "h100-pcie", "h100-nvl", "gh200",
         "h200-sxm", "h200-nvl", "b200", "gb200", "b300", "gb300", "h20")  # fmt: skip
FOUR = ("a30", "rtx-pro-6000")


@pytest.mark.parametrize("slug", SEVEN)
def test_counts_of_chips_with_seven_compute_slices(slug: str) -> None:
    of = chip(slug)
    standard, everything = count(of, of.named("standard")), count(of, of.named("all"))
    assert (standard.valid, standard.maximal, standard.maximal_multisets) == (297, 19, 14)
    assert (everything.valid, everything.maximal, everything.maximal_multisets) == (722, 78, 38)


@pytest.mark.parametrize("slug", FOUR)
def test_counts_of_chips_with_four_compute_slices(slug: str) -> None:
    found = count(chip(slug), chip(slug).named("standard"))
    assert (found.valid, found.maximal, found.maximal_multisets) == (25, 5, 4)


def test_before_r510_the_a100_has_one_maximal_configuration_less() -> None:
    """NVIDIA's guide of that time draws 18: a 4g beside a 3g is missing, which those drivers did not hold."""
    now, then = chip(), chip(driver="470.82.01")
    names = now.named("standard")
    assert count(then, then.named("standard")).maximal == 18
    lost = set(maximal(now, names)) - set(maximal(then, names))
    assert lost == {(placed(now, "4g.20gb", 0), placed(now, "3g.20gb", 4))}
    assert "1g.10gb" in now.by_name
    assert "1g.10gb" not in then.by_name


def reached(of: Chip, names: tuple[str, ...]) -> set[frozenset[tuple[str, int]]]:
    """What instances made one after the other lead to, whatever the order: with rules written out anew."""

    wholes = [max((p.engines.get(kind, 0) for p in of.profiles), default=0) for kind in MEDIA_ENGINES]

    def can_stand(each: frozenset[tuple[str, int]]) -> bool:
        slices = [s for name, start in each for s in range(start, start + of.by_name[name].size)]
        most = Counter(name for name, _ in each)
        compute = sum(of.by_name[name].compute_slices for name, _ in each)
        engines = [[of.by_name[name].engines.get(kind) for name, _ in each] for kind in MEDIA_ENGINES]
        return (
            len(slices) == len(set(slices))
            and all(most[name] <= of.by_name[name].max_instances for name in most)
            and compute <= max(p.compute_slices for p in of.profiles)
            and all(
                None in counts or sum(counts) <= whole for counts, whole in zip(engines, wholes, strict=True)
            )
        )

    steps = [(name, start) for name in names for start in of.by_name[name].starts]
    found: set[frozenset[tuple[str, int]]] = set()
    front = {frozenset[tuple[str, int]]()}
    while front:
        made = {each | {step} for each in front for step in steps if step not in each}
        front = {each for each in made if each not in found and can_stand(each)}
        found |= front
    return found


@pytest.mark.parametrize(
    ("slug", "which"),
    [
        ("a100-sxm-40gb", "standard"),
        ("a100-sxm-40gb", "all"),
        ("h100-nvl", "standard"),
        ("a30", ("1g.6gb", "1g.6gb+me", "2g.12gb", "2g.12gb+me", "4g.24gb")),
        ("rtx-pro-6000", ("1g.24gb", "1g.24gb+me.all", "1g.24gb-me", "2g.48gb", "2g.48gb+gfx")),
    ],
)
def test_configurations_are_what_orders_of_creation_reach(slug: str, which: str | tuple[str, ...]) -> None:
    of = chip(slug)
    names = of.named(which)
    found = configurations(of, names)
    assert len(found) == len(set(found))
    assert {frozenset((p.profile, p.start) for p in each) for each in found if each} == reached(of, names)


def test_one_instance_with_all_media_engines_leaves_none_for_others() -> None:
    of = chip("rtx-pro-6000")
    everything = placed(of, "1g.24gb+me.all", 0)
    beside = {place.profile for place in next_places(of, tuple(of.by_name), (everything,))}
    assert "1g.24gb-me" in beside
    assert "1g.24gb" not in beside


def test_an_a30_has_media_extensions_once() -> None:
    """NVIDIA's guide lists one JPEG and one optical-flow engine of it, which each ``+me`` takes whole."""
    of = chip("a30")
    extended = placed(of, "1g.6gb+me", 0)
    assert "JPEG" in str(of.problem([extended, placed(of, "2g.12gb+me", 2)]))
    assert of.problem([extended, placed(of, "2g.12gb", 2)]) is None
    beside = {place.profile for place in next_places(of, tuple(of.by_name), (extended,))}
    assert beside == {"1g.6gb", "2g.12gb"}


def test_compute_slices_bound_where_memory_would_leave_room() -> None:
    """No chip of the catalog has such profiles yet; a row of the admin may."""
    wide = Profile(name="4g.10gb", number=1, compute_slices=4, size=2, starts=(0, 2, 4), max_instances=3,
                   memory_bytes=1)  # fmt: skip
    whole = Profile(name="7g.40gb", number=0, compute_slices=7, size=8, starts=(0,), max_instances=1,
                    memory_bytes=4)  # fmt: skip
    of = Chip("made-up", "Made up", (wide, whole))
    assert max(len(each) for each in configurations(of, ("4g.10gb",))) == 1
    assert "compute slices" in str(of.problem([Placed(0, 2, "4g.10gb"), Placed(2, 2, "4g.10gb")]))


def test_compute_instances_share_a_gpu_instance() -> None:
    counts = [count_compute(slices) for slices in (1, 2, 3, 4, 7)]
    assert [each.valid for each in counts] == [1, 4, 10, 25, 308]
    assert [each.maximal for each in counts] == [1, 2, 3, 5, 19]
    assert [each.maximal_multisets for each in counts] == [1, 2, 3, 4, 12]
    of_three = {multiset(each) for each in compute_instances(3)}
    assert (("1c", 1), ("2c", 1)) in of_three
    assert (("1c", 3),) in of_three
    assert all(sum(place.size for place in each) <= 7 for each in compute_instances(7))
    # 3c and 4c at 4 and 0; two 3c at 0 and 4; never 3c of a 4g.
    assert (("3c", 1), ("4c", 1)) in {multiset(each) for each in compute_instances(7)}
    assert not any(place.profile == "3c" for each in compute_instances(4) for place in each)


@pytest.mark.parametrize("slices", [2, 3, 4, 7])
def test_compute_instances_are_what_orders_of_creation_reach(slices: int) -> None:
    starts = {1: range(7), 2: (0, 2, 4), 3: (0, 4), 4: (0,), 7: (0,)}
    widths = {2: (1, 2), 3: (1, 2, 3), 4: (1, 2, 4), 7: (1, 2, 3, 4, 7)}[slices]
    singles = {Placed(s, w, f"{w}c") for w in widths for s in starts[w] if s + w <= slices}
    found: set[frozenset[object]] = set()
    front = {frozenset[object]()}
    while front:
        made = {each | {one} for each in front for one in singles if not any(
            one.mask & other.mask for other in each)}  # type: ignore[attr-defined]  # fmt: skip
        front = made - found
        found |= front
    assert {frozenset(each) for each in compute_instances(slices)} == found


def test_arrangements_hold_just_what_was_asked() -> None:
    of = chip()
    found = arrangements(of, (("1g.5gb", 3), ("3g.20gb", 1)))
    assert found
    assert {multiset(each) for each in found} == {(("1g.5gb", 3), ("3g.20gb", 1))}
    assert arrangements(of, (("4g.20gb", 1),), (placed(of, "1g.5gb", 3),)) == ()


def test_an_instance_of_an_unknown_profile_takes_its_slices() -> None:
    of = chip()
    stranger = placed(of, "2g.10gb", 4).__class__(4, 2, "2g.12gb")
    places = next_places(of, of.named("standard"), (stranger,))
    assert not any(place.mask & stranger.mask for place in places)
    assert placed(of, "4g.20gb", 0) in places
