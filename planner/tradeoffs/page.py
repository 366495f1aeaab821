"""The trade-offs page: the market for one run, its front, what a goal leads to, and the plan's neighbours.

Views read the address, ask the searches' service and hand records to templates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from planner.accuracy.calibration import shipped_calibration
from planner.catalog import selectors as catalog_selectors
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import SURE, PlanResult
from planner.plans.choices import BUDGET, DEFAULTS, GROUPS, NAMES, PROVIDER, WAY
from planner.plans.form import ScenarioForm
from planner.plans.links import terms_elsewhere
from planner.plans.room import in_cases
from planner.plans.scenario import answer, plain_problems, plan_context, problems, today
from planner.plans.state import spelled_number
from planner.tradeoffs import jobs, market, neighbours
from planner.tradeoffs.chances import Measure, pairs
from planner.tradeoffs.chances import told as told_pairs
from planner.tradeoffs.charts import cells
from planner.tradeoffs.charts import plan as plan_charts
from planner.tradeoffs.charts.front import bought, front_chart, mine_told, range_told, told
from planner.tradeoffs.jobs import JobStatus
from planner.tradeoffs.market import Market, read_market
from planner.tradeoffs.points import (
    TAKEN_BACK,
    Chosen,
    Goal,
    Key,
    Point,
    choose,
    empty_reason,
    goal_of,
    points_of,
)
from planner.tradeoffs.presenters import goal_sentence, progress, settings_of, slider
from planner.web import formats
from planner.web.figure import Chart
from planner.web.formats import Quantity
from planner.web.responses import csv_response, swaps


@require_safe
def tradeoffs(request: HttpRequest) -> HttpResponse:
    """The page; while a search runs in the background, its progress."""
    form, given = scene_form(request)
    context: dict[str, Any] = plan_context(form) | {"problems": [], "query": request.GET.urlencode()}
    try:
        allowed = read_market(given, form.catalog)
        question, result = answer(form)
        found = answers_of(request, form, allowed, result)
    except PlanErrors as wrong:
        told = problems_of(wrong, form)
        context |= {"problems": told, "settings": settings_of(Market(), form.catalog), "market": Market()}
        return render(request, "tradeoffs/page.html", context, status=422)
    context |= scene_context(form, allowed, question, result)
    running = [each for each in found if isinstance(each, JobStatus)]
    if running:
        context |= {"progress": progress(running), "keys": [each.key for each in running]}
        return render(request, part_of(request, "progress"), context)
    done = [each for each in found if not isinstance(each, JobStatus)]
    context |= results_context(form, allowed, result, done)
    return render(request, part_of(request, "results"), context)


@require_safe
def around(request: HttpRequest) -> HttpResponse:
    """The reader's plan among its neighbours; the page fetches it once its front stands."""
    form, _ = scene_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return plain_problems(wrong)
    context = {
        "charts": plan_charts_of(form, question, result),
        "mine": mine_told(result),
        "query": form.query(),
        "plan_query": form.query(),
    }
    template = "tradeoffs/around.html" if swaps(request) else "tradeoffs/around_page.html"
    return render(request, template, context)


@require_safe
def chart_csv(request: HttpRequest) -> HttpResponse:
    """One chart's numbers, exact. chart: its slug in the address."""
    form, given = scene_form(request)
    slug = request.GET.get("chart", "")
    try:
        question, result = answer(form)
        if slug == "chart-front":
            allowed = read_market(given, form.catalog)
            done = [each for each in answers_of(request, form, allowed, result) if isinstance(each, dict)]
            points = points_of(done_pairs(form, allowed, result, done), allowed, form.catalog)
            return csv_response("tradeoffs.csv", point_rows(points))
        charts = {chart.slug: chart for chart in plan_charts_of(form, question, result)}
    except PlanErrors as wrong:
        return plain_problems(wrong)
    if slug not in charts:
        raise Http404("no chart of this name")
    return csv_response(f"{slug}.csv", table_rows(charts[slug]))


@require_POST
def cancel(request: HttpRequest) -> HttpResponse:
    """Stop the searches of a page; what is done is kept."""
    keys = request.POST.getlist("key")
    for key in keys:
        jobs.cancel(key)
    return HttpResponseRedirect(address(request.POST.get("query", ""), keys))


@require_POST
def resume(request: HttpRequest) -> HttpResponse:
    """Go on with the searches of a page."""
    for key in request.POST.getlist("key"):
        jobs.resume(key)
    return HttpResponseRedirect(address(request.POST.get("query", ""), request.POST.getlist("key")))


def address(query: str, keys: list[str]) -> str:
    """The page's address with the searches it is about, so that a stopped one is not started by a reload."""
    said = QueryDict(query, mutable=True)
    said.setlist("job", keys)
    return f"{reverse('planner:tradeoffs')}?{said.urlencode()}"


def scene_form(request: HttpRequest) -> tuple[ScenarioForm, Mapping[str, list[str]]]:
    """The scenario of the address, without what is this page's own; and that."""
    said = request.GET.copy()
    given = {name: said.getlist(name) for name in market.NAMES}
    for name in (*market.NAMES, "job", "chart"):
        said.pop(name, None)
    return ScenarioForm.of_query(said, catalog_selectors.current_catalog()), given


def answers_of(
    request: HttpRequest, form: ScenarioForm, allowed: Market, plan: PlanResult
) -> list[dict[str, Any] | JobStatus]:
    """What is known of each question: its answer, or where its search stands. Raises PlanErrors."""
    keys = request.GET.getlist("job")
    asked = questions_of(form, allowed, plan)
    stopped = [each for key in keys if (each := jobs.status(key)) is not None and each.can_resume]
    if stopped:
        # Asking again would go on with them, which is for the reader to say.
        return list(stopped)
    stamp = str(catalog_selectors.catalog_stamp())
    return [answered(json.dumps(each), stamp, today().isoformat()) for each in asked]


def questions_of(form: ScenarioForm, allowed: Market, plan: PlanResult) -> list[dict[str, Any]]:
    """The searches that the page is about. Raises PlanErrors."""
    try:
        asked = form.request()
    except PlanError as one:
        raise PlanErrors([one]) from one
    return market.questions(allowed, asked, form.catalog, plan.cluster.nodes)


def answered(question: str, stamp: str, day: str) -> dict[str, Any] | JobStatus:
    """The answer, kept while catalog and day stay; a search that runs is asked for again each time."""
    try:
        return _kept(question, stamp, day)
    except _RunningError as running:
        return running.status


class _RunningError(Exception):
    """A search that has no answer yet: an exception, so that the cache keeps answers alone."""

    def __init__(self, status: JobStatus) -> None:
        super().__init__(status.key)
        self.status = status


@lru_cache(maxsize=24)
def _kept(question: str, stamp: str, day: str) -> dict[str, Any]:
    found = jobs.answer(json.loads(question))
    if isinstance(found, JobStatus):
        raise _RunningError(found)
    return found


def done_pairs(
    form: ScenarioForm, allowed: Market, plan: PlanResult, done: list[dict[str, Any]]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each question with its answer."""
    return list(zip(questions_of(form, allowed, plan), done, strict=False))


def scene_context(
    form: ScenarioForm, allowed: Market, question: PlanRequest, result: PlanResult
) -> dict[str, Any]:
    """What stands on the page whatever the search has found."""
    return {
        "market": allowed,
        "settings": settings_of(allowed, form.catalog),
        "mine": mine_told(result),
        "mine_fits": result.fits,
        "subject": question.model.name,
        "scenario_fields": [
            (name, form.values[name])
            for name in NAMES
            if name not in ("deadline", BUDGET) and form.values[name] != form.state.default(name)
        ],
        "deadline": form.values["deadline"],
        "budget": form.values[BUDGET],
        "plan_query": form.query(),
        "market_query": allowed.query(),
    }


def results_context(
    form: ScenarioForm, allowed: Market, plan: PlanResult, done: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the search has found, and what the goal makes of it."""
    points = points_of(done_pairs(form, allowed, plan, done), allowed, form.catalog)
    goal = goal_of(number(form.values["deadline"]), number(form.values[BUDGET].removeprefix("$")), allowed)
    chosen = choose(points, goal)
    return {
        "points": points,
        "count": len(points),
        "empty": "" if points else empty_reason(done),
        "evaluated": sum(int(each["evaluated"]) for each in done),
        "elapsed_s": sum(float(each["elapsed_s"]) for each in done),
        "goal": goal,
        "sentence": goal_sentence(chosen, goal),
        "chosen": chosen_rows(chosen, form),
        "sure": sure_of(points, chosen, goal, form),
        "chart": front_chart(points, plan, lambda point: link(form, point)),
        "front": [front_row(each, form) for each in points if each.front],
        "time_slider": slider([point.total_s for point in points], goal.deadline_s),
        "cost_slider": slider([point.usd for point in points if point.usd is not None], goal.budget_usd),
        "data": [point_data(point, form) for point in points],
        "margin": goal.margin,
    }


def chosen_rows(chosen: Chosen, form: ScenarioForm) -> list[dict[str, Any]]:
    """The plans that the goal leads to, with their addresses."""
    named = (
        ("Cheapest", chosen.cheapest),
        ("Cheapest without spot", chosen.steady),
        ("Least time × cost", chosen.balanced),
        ("Fastest", chosen.quickest),
        ("Nearest in time, within the budget", chosen.nearest_time),
        ("Nearest in cost, within the deadline", chosen.nearest_cost),
    )
    together: dict[Key, tuple[list[str], Point]] = {}
    for label, point in named:
        if point is not None:
            together.setdefault(point.key, ([], point))[0].append(label)
    rows = [(", ".join([first, *map(lowered, rest)]), point) for (first, *rest), point in together.values()]
    return [
        {"label": label, "point": point, "bought": bought(point), "query": link(form, point)}
        for label, point in rows
    ]


def lowered(label: str) -> str:
    """A label within a line."""
    return label[:1].lower() + label[1:]


def sure_of(points: list[Point], chosen: Chosen, goal: Goal, form: ScenarioForm) -> list[str]:
    """The chosen plans against the best of other machines that meet the goal, in chances."""
    met = [point for point in points if goal.met_by(point)]
    shared = shipped_calibration().shared
    found: list[str] = []
    wanted: tuple[tuple[Point | None, Measure], ...] = ((chosen.cheapest, "cost"), (chosen.quickest, "time"))
    for point, measure in wanted:
        if point is not None and (measure == "time" or point.usd):
            found += told_pairs(pairs(point, met, measure, catalog=form.catalog, shared=shared))
    return found


def plan_charts_of(form: ScenarioForm, question: PlanRequest, result: PlanResult) -> list[Chart]:
    """The plan's neighbours as charts; those that have nothing to show are left out."""
    if result.cluster.mig_profile is not None:
        return []
    charts = (
        cells.matrix_chart(neighbours.offers_of(question, result, form.catalog)),
        plan_charts.scaling_chart(neighbours.nodes_of(question, result), result),
        cells.split_chart(neighbours.splits_of(question, result), result),
        plan_charts.tornado_chart(neighbours.swings_of(question, result), result),
        plan_charts.variants_chart(neighbours.variants_of(question, result), result),
    )
    return [chart for chart in charts if chart is not None]


def link(form: ScenarioForm, point: Point) -> str:
    """The Plan page's query for a point: its machines, its layout chosen anew."""
    machine = "" if " × " in point.machine else point.machine
    changes = {name: "" for name in GROUPS["layout"] if name != "recompute"} | {
        WAY: DEFAULTS[WAY],
        PROVIDER: "",
        "nodes": str(point.nodes),
    }
    if machine:
        changes |= dict.fromkeys(("chip", *GROUPS["card"]), "") | {
            "instance": machine,
            "region": point.region,
            "buy": point.purchase or "on_demand",
        }
        changes |= terms_elsewhere(form.values, form.catalog, machine)
    if point.stack:
        changes["framework"] = point.stack
    if point.precision:
        changes["precision"] = point.precision
    return form.query(**changes)


def front_row(point: Point, form: ScenarioForm) -> dict[str, Any]:
    """A plan of the front as a row of the page's table."""
    return {
        "point": point,
        "bought": bought(point),
        "query": link(form, point),
        "time": formats.duration(point.total_s),
        "time_range": range_told(point.total_interval_s, formats.duration),
        "cost_range": range_told(point.usd_interval, formats.dollars),
        "cost": "no price" if point.usd is None else formats.dollars(point.usd),
        "memory": formats.percent(point.memory_share),
        "tight": tight_told(point),
        "mfu": formats.percent(point.model_flops_utilization),
    }


def tight_told(point: Point) -> str:
    """``fits in about 6 of 10 cases`` where that is not nearly sure, else ""."""
    chance = point.fit_probability
    return "" if chance is None or chance >= SURE else in_cases(chance)


def point_data(point: Point, form: ScenarioForm) -> dict[str, Any]:
    """A point for the page's script."""
    return {
        "t": point.total_s,
        "c": point.usd,
        "f": point.front,
        "n": point.name,
        "d": told(point),
        "b": bought(point),
        "q": link(form, point),
        "s": point.purchase in TAKEN_BACK,
    }


def number(text: str) -> float | None:
    """A number as people write it, None for none."""
    value = spelled_number(text) if text else ""
    return float(value) if isinstance(value, int | float) and value > 0 else None


def point_rows(points: list[Point]) -> list[tuple[Any, ...]]:
    """Every plan with exact numbers."""
    names = ("machine", "nodes", "accelerators", "region", "purchase", "stack", "precision", "front")
    numbers = ("total_s", "usd", "memory_share", "model_flops_utilization")
    ends = ("total_low_s", "total_high_s", "usd_low", "usd_high", "fit_probability")
    rows: list[tuple[Any, ...]] = [(*names, *numbers, *ends, *(points[0].layout if points else ()))]
    for point in points:
        told = [getattr(point, name) for name in (*names, *numbers)]
        told += [
            *(point.total_interval_s or (None, None)),
            *(point.usd_interval or (None, None)),
            point.fit_probability,
        ]
        rows.append((*("" if each is None else each for each in told), *point.layout.values()))
    return rows


def table_rows(chart: Chart) -> list[tuple[str, ...]]:
    """A chart's table with exact values."""
    rows = [chart.table.columns]
    for row in chart.table.rows:
        rows.append(tuple(cell.exact if isinstance(cell, Quantity) else cell for cell in row))
    return rows


def problems_of(wrong: PlanErrors, form: ScenarioForm) -> list[dict[str, str]]:
    """Problems beside the fields that they are about: this page's own, or the scenario's."""
    own = [error for error in wrong.errors if error.field in market.NAMES]
    others = [error for error in wrong.errors if error.field not in market.NAMES]
    told = [
        {
            "anchor": f"allow-{error.field}",
            "label": LABELS.get(error.field, error.field),
            "value": str(error.value)[:80],
            "message": error.message,
            "remedy": error.remedy,
        }
        for error in own
    ]
    return told + (problems(PlanErrors(others)) if others else [])


LABELS = {
    "providers": "Providers",
    "regions": "Regions",
    "families": "Families",
    "purchases": "Purchases",
    "stacks": "Stacks",
    "precisions": "Precisions",
    "own": "Machines you own",
    "least_nodes": "Least nodes",
    "most_nodes": "Most nodes",
    "margin": "Margin",
}


def part_of(request: HttpRequest, name: str) -> str:
    """The part alone for htmx, else the page."""
    return f"tradeoffs/{name}.html" if swaps(request) else "tradeoffs/page.html"
