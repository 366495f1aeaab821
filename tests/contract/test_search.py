"""JSON to SearchRequest: lists of clusters, what ``any`` means, and every problem named."""

from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.contract.search import DEFAULT_NODES, parse_search_request
from tests.contract.conftest import ABSENT, BASE, bent, problems_of

CLUSTER = BASE["cluster"]


def asked(catalog: Catalog, **changes: Any) -> Any:
    return parse_search_request(bent({"layout": ABSENT, **changes}), catalog)


def test_listed_clusters_are_read_as_estimate_reads_them(catalog: Catalog) -> None:
    request = asked(catalog, cluster=[CLUSTER, CLUSTER, {**CLUSTER, "nodes": 4}], objective="time")
    alone = parse_plan_request(BASE, catalog)
    assert request.clusters[0] == alone.cluster
    assert [cluster.nodes for cluster in request.clusters] == [16, 4]
    assert (request.model, request.workload) == (alone.model, alone.workload)
    assert (request.objective, request.limit) == ("time", 20)


def test_auto_nodes_are_the_usual_sizes_up_to_the_most_allowed(catalog: Catalog) -> None:
    request = asked(catalog, cluster=[{**CLUSTER, "nodes": "auto"}], max_nodes=8)
    assert [cluster.nodes for cluster in request.clusters] == [1, 2, 4, 8]


def test_any_spans_the_catalog(catalog: Catalog) -> None:
    request = asked(catalog, cluster={"any": {}})
    shown = {cluster.instance_type for cluster in request.clusters}
    had = [record for record in catalog.instances() if catalog.regions(record.slug)]
    assert shown == {record.slug for record in had if record.spec.accelerator.bf16_flops_per_s}
    assert {cluster.nodes for cluster in request.clusters} == set(DEFAULT_NODES)
    assert len(set(request.clusters)) == len(request.clusters)


def test_any_narrows_down(catalog: Catalog) -> None:
    filters = {
        "providers": ["aws"],
        "regions": ["us-east-1", "us-west-2"],
        "accelerators": ["h100-sxm"],
        "purchases": ["on_demand"],
        "nodes": [2, 4],
    }
    request = asked(catalog, cluster={"any": filters})
    assert {cluster.accelerator.slug for cluster in request.clusters} == {"h100-sxm"}
    assert {cluster.region for cluster in request.clusters} <= {"us-east-1", "us-west-2"}
    assert {cluster.nodes for cluster in request.clusters} == {2, 4}
    assert all(cluster.usd_per_node_hour for cluster in request.clusters)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cluster": []}, "cluster"),
        ({"cluster": "any"}, "cluster"),
        ({"cluster": [{**CLUSTER, "nodes": 0}]}, "cluster.0.nodes"),
        ({"cluster": [CLUSTER, {**CLUSTER, "instance_type": "p6.48xlarge"}]}, "cluster.1.instance_type"),
        ({"cluster": [CLUSTER], "max_nodes": 8}, "max_nodes"),
        ({"cluster": [CLUSTER], "limit": 0}, "limit"),
        ({"cluster": [CLUSTER], "objective": "speed"}, "objective"),
        ({"cluster": [CLUSTER], "vary": ["micro_batch"]}, "vary.0"),
        ({"cluster": [CLUSTER], "vary": "sharding"}, "vary"),
        ({"cluster": [CLUSTER], "budget_usd": -1}, "budget_usd"),
        ({"cluster": [CLUSTER], "layout": "auto"}, "layout"),
        ({"cluster": {"any": {"provider": ["aws"]}}}, "cluster.any.provider"),
        ({"cluster": {"any": {"providers": ["oracle"]}}}, "cluster.any.providers.0"),
        ({"cluster": {"any": {"accelerators": ["h100"]}}}, "cluster.any.accelerators.0"),
        ({"cluster": {"any": {"nodes": [1, 2.5]}}}, "cluster.any.nodes.1"),
        ({"cluster": {"any": {"providers": ["gcp"], "accelerators": ["trainium1"]}}}, "cluster.any"),
        ({"cluster": {"any": {}, "nodes": 3}}, "cluster.nodes"),
    ],
)
def test_each_problem_names_its_field(changes: dict[str, Any], field: str, catalog: Catalog) -> None:
    errors = problems_of(lambda: asked(catalog, **changes))
    assert [error.field for error in errors] == [field]
    assert errors[0].remedy


def test_a_precision_that_a_listed_chip_lacks_is_that_clusters_problem(catalog: Catalog) -> None:
    clusters = [CLUSTER, {"instance_type": "p4d.24xlarge", "nodes": 1}]
    errors = problems_of(lambda: asked(catalog, cluster=clusters, **{"workload.precision": "fp8"}))
    assert [error.field for error in errors] == ["cluster.1"]


def test_old_chips_are_searched_in_the_precision_that_they_have(catalog: Catalog) -> None:
    old = [{"instance_type": kind, "nodes": 1} for kind in ("g4dn.12xlarge", "p3.16xlarge")]
    unnamed = {"workload.precision": ABSENT, "layout": ABSENT}
    request = parse_search_request(bent({**unnamed, "cluster": old}), catalog)
    assert request.workload.precision == "fp16"
    assert "assumed_precision" in [code for code, _ in request.notes]
    mixed = bent({**unnamed, "cluster": [*old, CLUSTER]})
    problems = problems_of(lambda: parse_search_request(mixed, catalog))
    assert [problem.field for problem in problems] == ["cluster.0", "cluster.1"]
