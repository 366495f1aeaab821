"""What AWS says of its machines, and in which zones they are offered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from planner.catalog.changes.observed import (
    Asked,
    Item,
    KnownAccelerator,
    Observed,
    UnknownField,
    unknown_fields,
)
from planner.catalog.refresh.aws_session import ClientMaker, PartError, make_client, pages

MIB_PER_GIB = 1024
#: Parts of the answer that have been met; others are reported, since they may be facts that we lack.
KNOWN_FIELDS = frozenset({
    "InstanceType", "CurrentGeneration", "FreeTierEligible", "SupportedUsageClasses",
    "SupportedRootDeviceTypes",
    "SupportedVirtualizationTypes", "BareMetal", "Hypervisor", "ProcessorInfo", "VCpuInfo", "MemoryInfo",
    "InstanceStorageSupported", "InstanceStorageInfo", "EbsInfo", "NetworkInfo", "GpuInfo", "FpgaInfo",
    "PlacementGroupInfo", "InferenceAcceleratorInfo", "HibernationSupported", "BurstablePerformanceSupported",
    "DedicatedHostsSupported", "AutoRecoverySupported", "SupportedBootModes", "NitroEnclavesSupport",
    "NitroTpmSupport", "NitroTpmInfo", "MediaAcceleratorInfo", "NeuronInfo", "PhcSupport",
    "RebootMigrationSupport",
})  # fmt: skip
GPU_FIELDS = (
    "Name",
    "Manufacturer",
    "Count",
    "LogicalGpuCount",
    "GpuPartitionSize",
    "Workloads",
    "MemoryInfo",
)
#: A new machine's chip is found by its name and memory, which may be wrong.
MAPPED_CONFIDENCE = 0.6
#: Families with GPUs or Neuron chips, asked for by name beside the machines that the catalog has.
FAMILIES = ("p3*", "p4*", "p5*", "p6*", "g4dn*", "g5*", "g6*", "g7*", "trn*", "inf2*")


class InstanceTypes:
    """``ec2.describe_instance_types``: vCPUs, memory, drives, network and chips of each machine."""

    slug = "aws-instance-types"
    title = "AWS machines"
    provider = "aws"
    every_hours = 7 * 24
    actions: tuple[str, ...] = ("ec2:DescribeInstanceTypes",)

    def __init__(self, client: ClientMaker = make_client) -> None:
        self.client = client

    def read(self, asked: Asked) -> Iterator[Item]:
        known = {machine.slug: machine for machine in asked.of("aws")}
        families = {machine.accelerator: machine.family for machine in known.values()}
        regions, met = asked.regions_of("aws"), set[str]()
        for done, region in enumerate(regions):
            asked.progress(done, len(regions), region)
            client = self.client("ec2", region)
            arguments = {"Filters": [{"Name": "instance-type", "Values": list(FAMILIES)}]}
            try:
                for page in pages(
                    client.describe_instance_types, arguments, action=self.actions[0], part=region
                ):
                    for entry in page.get("InstanceTypes", ()):
                        if entry.get("InstanceType") in met or not (
                            entry.get("GpuInfo") or entry.get("NeuronInfo")
                        ):
                            continue
                        met.add(entry["InstanceType"])
                        yield from self._machine(entry, asked, entry["InstanceType"] in known, families)
            except PartError as stop:
                yield stop.fault
        asked.progress(len(regions), len(regions), "read")

    def _machine(
        self, entry: Mapping[str, Any], asked: Asked, is_known: bool, families: Mapping[str, str]
    ) -> Iterator[Item]:
        slug = entry["InstanceType"]
        yield from _strangers(entry)
        values = facts_of(entry)
        flags: list[str] = []
        if not is_known:
            chip = chip_of(entry, asked.accelerators)
            values |= {"provider": "aws", "family": slug.partition(".")[0]}
            if chip is None:
                flags.append("a chip that the catalog does not have: add the accelerator first")
            else:
                values["accelerator_id"] = chip
        yield Observed(
            table="instancetype",
            key={"slug": slug},
            values=values,
            source="EC2 DescribeInstanceTypes",
            as_of=asked.now.date(),
            confidence=1.0 if is_known else MAPPED_CONFIDENCE,
            flags=tuple(flags),
        )


def _strangers(entry: Mapping[str, Any]) -> Iterator[UnknownField]:
    yield from unknown_fields(entry, KNOWN_FIELDS, "InstanceTypes")
    for gpu in entry.get("GpuInfo", {}).get("Gpus", ()):
        yield from unknown_fields(gpu, GPU_FIELDS, "InstanceTypes.GpuInfo.Gpus")


def facts_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The catalog's facts of one machine; what the answer does not say is left out."""
    values: dict[str, Any] = {}
    if vcpus := entry.get("VCpuInfo", {}).get("DefaultVCpus"):
        values["vcpus"] = int(vcpus)
    if (memory := entry.get("MemoryInfo", {}).get("SizeInMiB")) is not None:
        values["host_memory_gib"] = round(memory / MIB_PER_GIB, 6)
    if storage := entry.get("InstanceStorageInfo", {}).get("TotalSizeInGB"):
        values["local_storage_gb"] = int(storage)
    cards = entry.get("NetworkInfo", {}).get("NetworkCards", ())
    rates = [card["BaselineBandwidthInGbps"] for card in cards if "BaselineBandwidthInGbps" in card]
    if rates and len(rates) == len(cards):
        values["internode_gbit_per_s"] = round(float(sum(rates)), 6)
    chips = sum(int(gpu.get("Count", 0)) for gpu in _chips(entry))
    if chips:
        values["accelerators_per_node"] = chips
    return values


def chip_of(entry: Mapping[str, Any], accelerators: Iterable[KnownAccelerator]) -> str | None:
    """The accelerator of the catalog with this name and memory, where exactly one has them."""
    kinds = list(_chips(entry))
    if len(kinds) != 1:
        return None
    name = str(kinds[0].get("Name", "")).lower().replace(" ", "")
    memory = kinds[0].get("MemoryInfo", {}).get("SizeInMiB", 0)
    alike = [
        chip.slug
        for chip in accelerators
        if name
        and chip.slug.replace("-", "").startswith(name.replace("-", ""))
        and (not memory or abs(chip.memory_mib - memory) <= 0.08 * memory)
    ]
    return alike[0] if len(alike) == 1 else None


def _chips(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from entry.get("GpuInfo", {}).get("Gpus", ())
    yield from entry.get("NeuronInfo", {}).get("NeuronDevices", ())


class Offerings:
    """``ec2.describe_instance_type_offerings``: the zones of each region that offer a machine."""

    slug = "aws-offerings"
    title = "AWS zones"
    provider = "aws"
    every_hours = 24
    actions: tuple[str, ...] = ("ec2:DescribeInstanceTypeOfferings",)

    def __init__(self, client: ClientMaker = make_client) -> None:
        self.client = client

    def read(self, asked: Asked) -> Iterator[Item]:
        known = {machine.slug for machine in asked.of("aws")}
        regions = asked.regions_of("aws")
        for done, region in enumerate(regions):
            asked.progress(done, len(regions), region)
            client = self.client("ec2", region)
            arguments = {
                "LocationType": "availability-zone",
                "Filters": [{"Name": "instance-type", "Values": sorted(known)}],
            }
            zones: dict[str, list[str]] = defaultdict(list)
            try:
                for page in pages(
                    client.describe_instance_type_offerings, arguments, action=self.actions[0], part=region
                ):
                    for offer in page.get("InstanceTypeOfferings", ()):
                        if offer.get("InstanceType") in known and offer.get("Location"):
                            zones[offer["InstanceType"]].append(offer["Location"])
            except PartError as stop:
                # Half of a region's zones would read as if the others had been closed.
                yield stop.fault
                continue
            for slug, names in sorted(zones.items()):
                yield Observed(
                    table="availability",
                    key={"instance_type_id": slug, "region": region},
                    values={"zones": " ".join(sorted(names))},
                    source="EC2 DescribeInstanceTypeOfferings",
                    as_of=asked.now.date(),
                    confidence=1.0,
                )
        asked.progress(len(regions), len(regions), "read")
