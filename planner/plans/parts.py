"""Parts of the plan page that it fetches when they are wanted: folded fields, lists, charts of variations.

The page's first words need none of them, and most readers not all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from planner.catalog import selectors
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans import picker, presenters, variations
from planner.plans.charts.nodes import node_charts
from planner.plans.charts.profiles import profile_chart
from planner.plans.choices import GROUPS
from planner.plans.form import ScenarioForm, valid_day
from planner.plans.scenario import answer, names_a_goal, plain_problems, read_form
from planner.web.costs import large_where
from planner.web.figure import Chart
from planner.web.responses import swaps

#: The form's folds: title, what stands beside it, and the groups of fields in it.
FOLDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "shape": ("My own architecture", "by its sizes", ("shape",)),
    "adapters": ("Base weights and adapters", "usual where empty", ("adapters_more",)),
    "round": ("Round and generation engine", "usual where empty", ("round", "engine")),
    "own": ("My own machines", "instead", ("own",)),
    "card": ("My own card", "one that the list lacks", ("card",)),
    "price": ("Price and interruptions", "your own, negotiated, of a day", ("price",)),
    "layout": ("Layout", "chosen for you where empty", ("layout",)),
    "advanced": ("Precision, framework and the rest", "", ("advanced",)),
}
#: Fields that a fold has beside its groups.
BESIDE = {"shape": ("name",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Fields behind a summary. open: shown, since one is not at its default, is wrong or was asked for.

    fields: their names, by which the page's script finds the fold of a field that it has not got yet.
    """

    name: str
    title: str
    muted: str
    open: bool
    fields: str

    @property
    def template(self) -> str:
        return f"plans/folds/{self.name}.html"


def folds(form: ScenarioForm, *, wrong: bool, unfold: str) -> dict[str, Fold]:
    """Every fold of the form. wrong: the form holds errors, beside their fields.  unfold: one to open."""
    faulty = set(form.errors) if wrong else set()
    found = {}
    for name, (title, muted, groups) in FOLDS.items():
        fields = (*BESIDE.get(name, ()), *(field for group in groups for field in GROUPS[group]))
        shown = name == unfold or not (form.state.changed | faulty).isdisjoint(fields)
        shown = shown or (name == "own" and bool(form.state.chip))
        found[name] = Fold(name=name, title=title, muted=muted, open=shown, fields=" ".join(fields))
    return found


@require_safe
def fields(request: HttpRequest, name: str) -> HttpResponse:
    """The fields of one fold, all at their defaults."""
    if name not in FOLDS:
        raise Http404
    form = ScenarioForm.of_query(request.GET, selectors.current_catalog())
    return render(request, f"plans/folds/{name}.html", {"form": form})


@require_safe
def options(request: HttpRequest, name: str) -> HttpResponse:
    """The entries of a picker with what is said of each: models, or machines at the prices of a sale."""
    catalog = selectors.current_catalog()
    sale = picker.Sale(
        region=request.GET.get("region", ""),
        purchase=request.GET.get("buy", ""),
        as_of=valid_day(request.GET.get("price_on", "")),
    )
    if name == "models":
        offered = picker.model_options(catalog)
    elif name == "machines":
        offered = picker.machine_options(catalog, sale)
    else:
        raise Http404
    return render(request, "plans/picker.html", {"options": offered})


def picker_addresses(form: ScenarioForm) -> dict[str, str]:
    """Where the pickers' entries are: machines at the prices that the form asks for."""
    sale = {name: value for name in ("region", "buy", "price_on") if (value := form.values[name])}
    machines = reverse("planner:options", args=["machines"])
    return {
        "models": reverse("planner:options", args=["models"]),
        "machines": f"{machines}?{urlencode(sale)}",
    }


@large_where(names_a_goal)
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def beside(request: HttpRequest) -> HttpResponse:
    """The same run on other numbers of nodes or other slices: a page of its own, or for htmx a part."""
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return plain_problems(wrong)
    context: dict[str, Any] = {
        "charts": variation_charts(form, question, result),
        "verdict": presenters.verdict(question, result),
        "query": form.query(),
    }
    return render(request, "plans/beside.html" if swaps(request) else "plans/beside_page.html", context)


def variation_charts(form: ScenarioForm, question: PlanRequest, result: PlanResult) -> list[Chart]:
    """The same run on other numbers of nodes or, on a slice of a chip, on its other slices."""
    if result.cluster.mig_profile is None:
        return node_charts(variations.answer_node_counts(question, result), result)
    points = variations.answer_profiles(question, result, form.catalog)
    return [profile_chart(points, result)]
