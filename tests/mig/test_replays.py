"""Public configurations and issues, replayed: what people run can be planned, and what bit them does not."""

from __future__ import annotations

from collections import Counter

import pytest

from planner.mig.placement.chip import Chip
from planner.mig.placement.enumeration import arrangements, next_places
from planner.mig.placement.openness import best_start, fragmentation
from planner.mig.placement.plan import plan
from planner.mig.placement.question import Gpus, Question
from planner.mig.placement.simulate import Machines, RefusedError
from planner.mig.placement.steps import DESTROY, steps
from tests.mig.asked import asked, chip, placed, standing, wanted

MIG_PARTED = "NVIDIA/mig-parted, commit bd7160f4"
GPU_OPERATOR = "NVIDIA/gpu-operator, commit a22dbf6, assets/state-mig-manager/0400_configmap.yaml"
#: (where it is published, chip, instances of each GPU).
PUBLIC = [
    (f"{MIG_PARTED}, examples/config.yaml, all-1g.5gb", "a100-sxm-40gb", [{"1g.5gb": 7}]),
    (f"{MIG_PARTED}, examples/config.yaml, all-1g.5gb.me", "a100-sxm-40gb", [{"1g.5gb+me": 1}]),
    (f"{MIG_PARTED}, examples/config.yaml, all-1g.10gb", "a100-sxm-40gb", [{"1g.10gb": 4}]),
    (f"{MIG_PARTED}, examples/config.yaml, all-balanced", "a100-sxm-40gb",
     [{"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}]),
    (f"{MIG_PARTED}, examples/config.yaml, custom-config", "a100-sxm-40gb",
     [{"1g.5gb": 7}, {"2g.10gb": 3}, {"3g.20gb": 2}, {"1g.5gb": 2, "2g.10gb": 1, "3g.20gb": 1}]),
    (f"{MIG_PARTED}, examples/dgx-station-80gb-config.yaml, balanced-k8s", "a100-sxm-80gb",
     [{"3g.40gb": 2}, {"2g.20gb": 3, "1g.10gb": 1}, {"1g.10gb": 7}]),
    (f"{MIG_PARTED}, deployments/systemd/config-default.yaml, all-2g.12gb.me", "a30", [{"2g.12gb+me": 1}]),
    (f"{MIG_PARTED}, deployments/systemd/config-default.yaml, all-1g.24gb.me.all", "rtx-pro-6000",
     [{"1g.24gb+me.all": 1}]),
    (f"{MIG_PARTED}, deployments/systemd/config-default.yaml, all-2g.48gb.gfx", "rtx-pro-6000",
     [{"2g.48gb+gfx": 2}]),
    (f"{GPU_OPERATOR}, all-balanced of 0x294110DE", "gb200", [{"1g.23gb": 2, "2g.47gb": 1, "3g.93gb": 1}]),
    (f"{GPU_OPERATOR}, all-balanced of 0x318210DE", "b300", [{"1g.34gb": 2, "2g.67gb": 1, "3g.135gb": 1}]),
    (f"{GPU_OPERATOR}, all-balanced of 0x31C210DE", "gb300", [{"1g.35gb": 2, "2g.70gb": 1, "3g.139gb": 1}]),
    (f"{GPU_OPERATOR}, all-balanced of 0x2BB510DE", "rtx-pro-6000", [{"1g.24gb": 2, "2g.48gb": 1}]),
    (f"{GPU_OPERATOR}, all-1g.12gb", "h20", [{"1g.12gb": 7}]),
    ("NVIDIA/gpu-operator issue 622", "a100-sxm-80gb",
     [{"7g.80gb": 1}, {"2g.20gb": 3}, *[{"3g.40gb": 1, "4g.40gb": 1}] * 4,
      {"1g.10gb": 1, "2g.20gb": 1, "4g.40gb": 1}]),
    ("NVIDIA/go-nvml issue 146", "a100-sxm-80gb", [{"2g.20gb": 2, "3g.40gb": 1}]),
    ("NVIDIA/DCGM issue 138", "h100-sxm", [{"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(("source", "slug", "gpus"), PUBLIC, ids=[each[0] for each in PUBLIC])
def test_public_configurations_exist_and_are_planned(
    source: str, slug: str, gpus: list[dict[str, int]]
) -> None:
    of = chip(slug)
    for counts in gpus:
        assert arrangements(of, tuple(sorted(counts.items()))), source
    total: Counter[str] = Counter()
    for counts in gpus:
        total.update(counts)
    demands = [wanted(of, name, count) for name, count in total.items()]
    question = asked([Gpus(chip=of, count=len(gpus))], demands)
    answer = plan(question)
    assert answer.optimal
    assert not answer.unplaced
    assert answer.gpus_used <= len(gpus)
    machines = Machines(question.gpus)
    machines.run("", [step.command for step in steps(question.gpus, answer)])
    made = Counter(place.profile for gpu in range(len(gpus)) for place in machines.layout("", gpu))
    assert made == total


def one(of: Chip, *present: tuple[str, int, bool]) -> Gpus:
    there = tuple(standing(of, name, start, in_use=busy, number=7 + i) for i, (name, start, busy) in
                  enumerate(present))  # fmt: skip
    return Gpus(chip=of, count=1, standing=there)


def test_hami_2831_first_fit_splits_what_could_hold_more() -> None:
    """Project-HAMi/HAMi issue 2831: a 1g belongs to the edge, so that a 4g can still start."""
    of = chip("a100-sxm-40gb")
    at_the_first_place = (placed(of, "1g.5gb", 0),)
    chosen = best_start(of, of.named("standard"), (), "1g.5gb")
    assert chosen is not None
    larger = {place.profile for place in next_places(of, of.named("standard"), (chosen,))}
    assert "4g.20gb" in larger
    assert "4g.20gb" not in {
        place.profile for place in next_places(of, of.named("standard"), at_the_first_place)
    }


def test_dra_933_three_small_instances_keep_a_large_one_out() -> None:
    """kubernetes-sigs/dra-driver-nvidia-gpu issue 933: 1g.10gb at 0, 1 and 5; a 3g finds no place.

    With nothing in use the plan moves just one of them; with all in use it says what stands in the way.
    """
    of = chip("h100-pcie")
    idle = one(of, ("1g.10gb", 0, False), ("1g.10gb", 1, False), ("1g.10gb", 5, False))
    assert fragmentation([(of, tuple(each.place for each in idle.standing), 1)]).share > 0
    question = asked([idle], [wanted(of, "3g.40gb"), wanted(of, "1g.10gb", 3)], objective="fewest_changes")
    answer = plan(question)
    assert not answer.unplaced
    assert (len(answer.destroyed), answer.created) == (1, 2)
    busy = one(of, ("1g.10gb", 0, True), ("1g.10gb", 1, True), ("1g.10gb", 5, True))
    stuck = plan(asked([busy], [wanted(of, "3g.40gb")], in_use_serves=False))
    assert stuck.served == 0
    assert "in use" in stuck.unplaced[0].reason
    assert "destroyed" in stuck.nearest_change


def test_mig_parted_119_what_is_in_use_is_not_destroyed_to_be_made_again() -> None:
    """NVIDIA/mig-parted issue 119 and pull 3: 7 x 1g.5gb from a balanced layout, a process in one 1g.5gb."""
    of = chip("a100-sxm-40gb")
    balanced = one(of, ("3g.20gb", 0, False), ("2g.10gb", 4, False), ("1g.5gb", 6, True))
    question: Question = asked([balanced], [wanted(of, "1g.5gb", 7)])
    answer = plan(question)
    assert not answer.unplaced
    kept = [p for p in answer.placements if p.kept]
    assert [(p.place.start, p.in_use) for p in kept] == [(6, True)]
    assert len(answer.destroyed) == 2
    machines = Machines(question.gpus)
    machines.run("", [step.command for step in steps(question.gpus, answer)])
    assert len(machines.layout("", 0)) == 7
    with pytest.raises(RefusedError, match="in use"):
        Machines(question.gpus).run("", ["nvidia-smi mig -i 0 -dci -gi 9"])


def test_gpu_operator_1606_ampere_is_switched_first_and_may_need_a_reboot() -> None:
    """NVIDIA/gpu-operator issue 1606: with MIG off on an A100 or A30 nothing can be made before a reset."""
    of = chip("a30")
    question = asked([Gpus(chip=of, count=1, mig_mode=False)], [wanted(of, "1g.6gb", 4)])
    way = steps(question.gpus, plan(question))
    with pytest.raises(RefusedError, match="MIG mode"):
        Machines(question.gpus).run("", [way[-1].command])
    assert "rebooted" in way[0].words
    Machines(question.gpus).run("", [step.command for step in way])


def test_go_nvml_146_compute_instances_go_before_their_gpu_instance() -> None:
    """NVIDIA/go-nvml issue 146: a GPU instance that still holds a compute instance is not destroyed."""
    of = chip("a100-sxm-80gb")
    there = one(of, ("2g.20gb", 0, False), ("2g.20gb", 2, False), ("3g.40gb", 4, False))
    question = asked([there], [wanted(of, "7g.80gb")])
    destroying = [step.command for step in steps(question.gpus, plan(question)) if step.kind == DESTROY]
    assert [command.split()[4] for command in destroying] == ["-dci", "-dgi"] * 3
    with pytest.raises(RefusedError, match="compute instances"):
        Machines(question.gpus).run("", [destroying[1]])
