"""JSON to SearchRequest: lists of clusters, what ``any`` means, and every problem named."""

from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.contract.search import DEFAULT_NODES, parse_search_request
from planner.engine.question.errors import PlanErrors
from planner.engine.question.search_request import Market
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


def offers(catalog: Catalog, **said: Any) -> list[Any]:
    request = asked(catalog, cluster={"any": said})
    assert isinstance(request.clusters, Market)
    return list(request.clusters.offers)


def test_a_discount_holds_for_its_provider_in_the_search_itself(catalog: Catalog) -> None:
    listed = {each.instance_type: each for each in offers(catalog)}
    for each in offers(catalog, discounts={"aws": 10.0}):
        price = listed[each.instance_type].usd_per_node_hour
        ours = each.provider == "aws" and price is not None
        assert each.usd_per_node_hour == (price * (1.0 - 10.0 / 100.0) if ours else price)


def test_a_price_of_ones_own_is_one_offer_in_place_of_the_catalogs(catalog: Catalog) -> None:
    found = offers(
        catalog, own_prices={"p5.48xlarge": 41.5}, regions=["us-east-1", "us-west-2"], purchases=["spot"]
    )
    own = [each for each in found if each.instance_type == "p5.48xlarge"]
    assert [(each.usd_per_node_hour, each.sale.own_price) for each in own] == [(41.5, True)]


def test_only_what_can_be_had_is_looked_at(catalog: Catalog) -> None:
    regions = ["us-east-1", "eu-west-1", "us-west-2"]
    had = offers(catalog, available_only=True, regions=regions, purchases=["on_demand"])
    assert had
    assert all(catalog.known_to_be_offered(each.instance_type, each.region) for each in had)
    assert {each.sale.most_nodes for each in had if each.instance_type == "p4d.24xlarge"} == {4000 // 8}
    assert all(each.sale.most_nodes is None for each in offers(catalog))


def test_interruptions_are_the_buyers_own(catalog: Catalog) -> None:
    (spot, *_) = offers(catalog, purchases=["spot"], interruptions_per_node_day=0.25, restart_minutes=30)
    assert (spot.sale.interruptions.per_node_day, spot.sale.interruptions.restart_s) == (0.25, 1800.0)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"discounts": {"nobody": 10}}, "cluster.any.discounts.nobody"),
        ({"discounts": {"aws": 100}}, "cluster.any.discounts.aws"),
        ({"own_prices": {"p5.48xlarge": 0}}, "cluster.any.own_prices.p5.48xlarge"),
        ({"own_prices": [1]}, "cluster.any.own_prices"),
        ({"available_only": "yes"}, "cluster.any.available_only"),
    ],
)
def test_wrong_terms_name_their_field(said: dict[str, Any], field: str, catalog: Catalog) -> None:
    with pytest.raises(PlanErrors) as caught:
        asked(catalog, cluster={"any": said})
    assert [error.field for error in caught.value.errors] == [field]
