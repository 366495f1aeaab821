"""Files for other projects, read as their projects read them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from planner.mig.exports.kubernetes import device_plugin, dra, gpu_operator
from planner.mig.exports.layouts import HostLayout, host_layouts
from planner.mig.exports.mig_parted import mig_parted
from planner.mig.exports.slurm import slurm
from planner.mig.placement.plan import plan
from planner.mig.placement.question import Gpus
from tests.mig.asked import asked, chip, standing, wanted

LAYOUTS = [
    HostLayout("node-1", (0, 1), "a100-sxm-40gb", (("1g.5gb", 3), ("3g.20gb", 1))),
    HostLayout("node-1", (2,), "a100-sxm-40gb", (("7g.40gb", 1),)),
    HostLayout("node-2", (0,), "a30", (("1g.6gb+me", 1), ("2g.12gb", 1))),
]


def check_mig_parted(text: str) -> dict[str, list[dict[str, Any]]]:
    """As mig-parted's api/spec/v1/spec.go (commit bd7160f4) reads it: these fields and kinds, no others."""
    spec = yaml.safe_load(text)
    assert set(spec) == {"version", "mig-configs"}
    assert spec["version"] == "v1"
    assert spec["mig-configs"]
    for configs in spec["mig-configs"].values():
        assert configs
        for entry in configs:
            assert set(entry) <= {"device-filter", "devices", "mig-enabled", "mig-devices"}
            assert {"devices", "mig-enabled"} <= set(entry)
            assert entry["devices"] == "all" or all(isinstance(index, int) for index in entry["devices"])
            assert isinstance(entry["mig-enabled"], bool)
            for name, count in entry.get("mig-devices", {}).items():
                assert re.fullmatch(r"(\d+c\.)?\d+g\.\d+gb([+-][a-z.]+)?", name)
                assert isinstance(count, int)
                assert count > 0
    return dict(spec["mig-configs"])


def test_mig_parted() -> None:
    configs = check_mig_parted(mig_parted(LAYOUTS))
    assert set(configs) == {"headroom-node-1", "headroom-node-2"}
    assert configs["headroom-node-1"][0] == {
        "devices": [0, 1], "mig-enabled": True, "mig-devices": {"1g.5gb": 3, "3g.20gb": 1},
    }  # fmt: skip
    check_mig_parted(mig_parted([]))


def test_the_gpu_operators_config_map_holds_the_same() -> None:
    text = gpu_operator(LAYOUTS)
    found = yaml.safe_load(text)
    assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
    assert check_mig_parted(found["data"]["config.yaml"]) == check_mig_parted(mig_parted(LAYOUTS))
    assert "kubectl label node node-1 nvidia.com/mig.config=headroom-node-1 --overwrite" in text


@pytest.mark.parametrize(
    ("layouts", "strategy", "asked_for"),
    [
        (LAYOUTS, "mixed", "nvidia.com/mig-1g.6gb.me"),
        ([HostLayout("n", (0, 1), "a30", (("2g.12gb", 2),))], "single", "nvidia.com/gpu"),
        ([HostLayout("n", (0, 1), "a30", (("2g.12gb", 2),), alone=False)], "mixed", "nvidia.com/mig-2g.12gb"),
    ],
)
def test_the_device_plugins_config(layouts: list[HostLayout], strategy: str, asked_for: str) -> None:
    """NVIDIA/k8s-device-plugin README, commit 1b826ac."""
    text = device_plugin(layouts)
    inner = yaml.safe_load(yaml.safe_load(text)["data"]["config.yaml"])
    assert inner == {"version": "v1", "flags": {"migStrategy": strategy}}
    assert asked_for in text.splitlines()[0]


def test_claims_of_dra() -> None:
    """kubernetes-sigs/dra-driver-nvidia-gpu, demo/specs/quickstart/v1/gpu-test4.yaml, commit 9593204."""
    documents = list(yaml.safe_load_all(dra(LAYOUTS)))
    assert len(documents) == 5
    for document in documents:
        assert (document["apiVersion"], document["kind"]) == ("resource.k8s.io/v1", "ResourceClaimTemplate")
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", document["metadata"]["name"])
        (request,) = document["spec"]["spec"]["devices"]["requests"]
        assert set(request) == {"name", "exactly"}
        assert request["exactly"]["deviceClassName"] == "mig.nvidia.com"
        (selector,) = request["exactly"]["selectors"]
        said = selector["cel"]["expression"]
        assert re.fullmatch(r"device\.attributes\['gpu\.nvidia\.com'\]\.profile == '[^']+'", said)


def test_lines_of_slurm() -> None:
    """Slurm's gres guide, "MIG Management": types are parts of the names that slurmd reports."""
    lines = slurm(LAYOUTS).splitlines()
    assert "NodeName=node-1 AutoDetect=nvml" in lines
    assert "NodeName=node-1 Gres=gpu:1g.5gb:6,gpu:3g.20gb:2,gpu:7g.40gb:1" in lines
    plain = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"(\w+=\S+)( \w+=\S+)*", line) for line in plain)


def test_a_gpu_that_holds_nothing_is_no_part_of_a_single_strategy() -> None:
    of = chip("a30")
    both, one_of_two = (
        host_layouts(question.gpus, plan(question))
        for question in (asked([Gpus(chip=of, count=2)], [wanted(of, "2g.12gb", count)]) for count in (4, 2))
    )
    assert "migStrategy: single" in device_plugin(both)
    assert "migStrategy: mixed" in device_plugin(one_of_two)


def test_layouts_hold_what_stays_too() -> None:
    of = chip()
    present = (standing(of, "3g.20gb", 0, in_use=True), standing(of, "1g.5gb", 6))
    question = asked(
        [Gpus(chip=of, count=1, standing=present)], [wanted(of, "1g.5gb", 2)], in_use_serves=False
    )
    (layout,) = host_layouts(question.gpus, plan(question))
    assert dict(layout.counts) == {"3g.20gb": 1, "1g.5gb": 2}
