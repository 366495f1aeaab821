"""What a GPU and a slice of it cost, from the catalog's prices of whole machines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from planner.catalog.facts.catalog import Catalog
from planner.engine.question.specs import InstanceSpec
from planner.mig.placement.chip import Chip, Placed, Profile
from planner.mig.placement.question import Answer, Gpus


def instance_usd_per_gpu_hour(
    catalog: Catalog, spec: InstanceSpec, region: str | None, purchase: str
) -> float | None:
    """Dollars for one GPU of an instance type by the hour; None where no price is known."""
    place = region or catalog.default_region(spec.provider)
    price = catalog.price(spec.slug, place, purchase)
    return None if price is None else price.usd_per_hour / spec.accelerators_per_node


def cheapest(catalog: Catalog, slug: str) -> tuple[str, float] | None:
    """The instance type whose GPUs of this kind cost least on demand, and the price of one by the hour.

    In the provider's default region, else in the first with a price; None where none is known.
    """
    found = []
    for record in catalog.instances():
        if record.spec.accelerator.slug != slug:
            continue
        for region in catalog.regions(record.slug)[:1]:
            usd = instance_usd_per_gpu_hour(catalog, record.spec, region, "on_demand")
            if usd is not None:
                found.append((usd, record.slug))
    return (min(found)[1], min(found)[0]) if found else None


def usd_per_gpu_hour(catalog: Catalog, slug: str) -> float | None:
    """Dollars for one GPU by the hour, as the cheapest instance type has it on demand."""
    found = cheapest(catalog, slug)
    return None if found is None else found[1]


def share(chip: Chip, profile: Profile) -> float:
    """The part of a GPU that an instance takes: the larger of its parts of compute and of memory slices.

    A 3g of an A100 takes half, since two of them leave no memory for a third, though a compute slice is idle.
    """
    return max(profile.compute_slices / chip.compute_slices, profile.size / chip.memory_slices)


def shared_out(chip: Chip, names: list[str]) -> tuple[list[float], float]:
    """Each instance's part of the GPU's price, and the part that stays unused; together 1.

    Parts are the instances' shares, brought down together where they would come to more than the whole.
    """
    shares = [share(chip, chip.by_name[name]) for name in names]
    whole = max(1.0, sum(shares))
    return [each / whole for each in shares], max(0.0, round(1.0 - sum(shares), 12))


def unused_usd_per_hour(groups: Sequence[Gpus], answer: Answer) -> float | None:
    """The part of the serving GPUs' price that is for slices which nothing takes; None without a price.

    An instance of a profile that the chip does not list takes its part of the memory slices.
    """
    held: dict[int, list[Placed]] = defaultdict(list)
    for placement in (*answer.placements, *answer.staying):
        held[placement.gpu].append(placement.place)
    used = {placement.gpu for placement in answer.placements}
    total = 0.0
    for group in groups:
        serving = [number for number in group.numbers if number in used]
        if serving and group.usd_per_gpu_hour is None:
            return None
        for number in serving:
            known = [place.profile for place in held[number] if place.profile in group.chip.by_name]
            strange = sum(place.size for place in held[number] if place.profile not in group.chip.by_name)
            unused = shared_out(group.chip, known)[1] - strange / group.chip.memory_slices
            total += max(0.0, unused) * (group.usd_per_gpu_hour or 0.0)
    return total
