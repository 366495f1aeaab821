"""Places that keep the largest later instance, and the fragmentation of GPUs."""

from __future__ import annotations

from planner.mig.placement.openness import best_start, fragmentation, most_open, offers
from tests.mig.asked import chip, placed


def test_a_small_instance_goes_to_the_edge() -> None:
    """Project-HAMi/HAMi issue 2831: a 1g should not split the room in which a 4g or a 3g could start."""
    of = chip()
    names = of.named("standard")
    first = best_start(of, names, (), "1g.5gb")
    assert first == placed(of, "1g.5gb", 6)
    second = best_start(of, names, (first,), "1g.5gb")
    assert second == placed(of, "1g.5gb", 5)


def test_several_instances_leave_the_large_half_free() -> None:
    of = chip()
    made = most_open(of, of.named("standard"), (), (("1g.5gb", 1), ("2g.10gb", 1)))
    assert {place.start for place in made} == {4, 6}


def test_scattered_instances_are_fragmentation() -> None:
    """kubernetes-sigs/dra-driver-nvidia-gpu issue 933: 1g at 0, 1 and 5 of an 80 GB card leave no 3g."""
    of = chip("a100-sxm-80gb")
    scattered = tuple(placed(of, "1g.10gb", start) for start in (0, 1, 5))
    packed = tuple(placed(of, "1g.10gb", start) for start in (4, 5, 6))
    worse, better = fragmentation([(of, scattered, 1)]), fragmentation([(of, packed, 1)])
    by_name = {name: (now, arranged) for name, now, arranged in worse.by_profile}
    assert by_name["3g.40gb"] == (0, 1)
    assert worse.share > 0.3
    assert better.share == 0


def test_empty_and_full_gpus_are_not_fragmented() -> None:
    of = chip()
    assert fragmentation([(of, (), 3)]).share == 0
    assert fragmentation([(of, (placed(of, "7g.40gb", 0),), 1)]).share == 0
    assert fragmentation([]).share == 0


def test_offers_say_why_a_place_is_not_one() -> None:
    of = chip()
    found = dict(offers(of, ("4g.20gb", "3g.20gb"), (placed(of, "1g.5gb", 2),)))
    assert found[placed(of, "3g.20gb", 4)] is None
    assert "overlap" in str(found[placed(of, "4g.20gb", 0)])
