"""Kept plans as they are shown: estimated again, and held against the best of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from planner.engine.answer.estimate import estimate_many
from planner.engine.answer.kept import Rows
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Cluster, LayoutRequest, PlanRequest, Workload
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import SearchRequest, Standing
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.pairs import Compared, as_good, chance_better, spread_of


class Shown:
    """The estimates of kept plans."""

    def __init__(self, request: SearchRequest, calibration: Calibration) -> None:
        self.request = request
        self.calibration = calibration

    def workload(self, rows: Rows, row: int) -> Workload:
        """The variant that a kept plan runs."""
        return self.request.workloads[int(rows.variant[row])]

    def question(self, rows: Rows, row: int) -> PlanRequest:
        """What asks for one kept plan."""
        request = self.request
        cluster = request.clusters[int(rows.cluster[row])]
        cluster = replace(cluster, nodes=cluster.nodes or 1)
        layout = rows.layout_at(row)
        return PlanRequest(
            model=request.model,
            workload=self.workload(rows, row),
            cluster=cluster,
            today=request.today,
            layout=LayoutRequest(**{name: getattr(layout, name) for name in LayoutRequest.__slots__}),
            notes=tuple(notes_on(request, cluster)),
            id=request.id,
        )

    def plans(self, rows: Rows) -> tuple[PlanResult, ...]:
        """The figures of kept plans, in one grid."""
        return figures([self.question(rows, row) for row in range(len(rows))], self.calibration)


def figures(requests: Sequence[PlanRequest], calibration: Calibration) -> tuple[PlanResult, ...]:
    """The figures of plans whose layouts are known to be sound."""
    found = []
    for answer in estimate_many(requests, calibration):
        if isinstance(answer, PlanErrors):
            raise answer
        found.append(answer)
    return tuple(found)


def notes_on(request: SearchRequest, cluster: Cluster) -> Iterator[tuple[str, str]]:
    """The notes that reading gave, without those on the prices of other machines."""
    for code, message in request.notes:
        of_price = code == "price_stale"
        if not of_price or (f"of {cluster.instance_type} in {cluster.region} " in message):
            yield code, message


@dataclass(frozen=True, slots=True)
class Beside:
    """The best plan of an answer and the workload it runs, which others are held against."""

    request: SearchRequest
    calibration: Calibration
    leader: tuple[PlanResult, Workload] | None

    def standing(self, plan: PlanResult, workload: Workload, place: int) -> Standing:
        """How a plan stands beside the best: the chance that the best beats it, by each measure."""
        if self.leader is None:
            return Standing(
                workload=workload, place=place, time_chance=None, cost_chance=None, chance=None, equal=False
            )
        best, other = compared(*self.leader), compared(plan, workload)
        shared = self.calibration.shared
        chance = chance_better(best, other, self.request.objective, shared)
        return Standing(
            workload=workload,
            place=place,
            time_chance=chance_better(best, other, "time", shared),
            cost_chance=chance_better(best, other, "cost", shared),
            chance=chance,
            equal=as_good(chance),
        )


def compared(plan: PlanResult, workload: Workload) -> Compared:
    """A plan as one of a pair."""
    cost = plan.cost
    return Compared(
        cluster=plan.cluster,
        layout=plan.layout,
        stack=(workload.framework, workload.precision),
        total_s=plan.time.total_s,
        usd=None if cost is None or cost.usd <= 0.0 else cost.usd,
        time_spread=spread_of(plan.time.total_interval_s),
        price_spread=0.0 if cost is None else spread_of(cost.price_interval_usd_per_node_hour),
    )


def named(cluster: Cluster) -> str:
    """A cluster in a sentence: ``4 x p5.48xlarge``."""
    machine = cluster.instance_type or f"{cluster.accelerators_per_node} x {cluster.accelerator.name}"
    return f"{cluster.nodes or 1:,} x {machine}"
