"""The readers' pages: the catalog's front, prices, one price, machines, accelerators, models."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from planner.accounts.policy import Action
from planner.accounts.rights import may
from planner.catalog.changes import selectors as changes
from planner.catalog.facts.records import DEFAULT_REGIONS
from planner.catalog.history.selectors import as_it_was
from planner.catalog.models import CatalogRow
from planner.catalog.pages import evidence, presenters, selectors
from planner.catalog.pages.charts import price_chart
from planner.catalog.refresh.sources import LISTED
from planner.engine.question.words import PURCHASES
from planner.web.responses import csv_response

LINES = 100


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """How fresh the catalog is, source by source, and where to look things up."""
    now = timezone.now()
    ages = changes.source_ages([slug for slug, _, _ in LISTED])
    lines = presenters.source_lines(LISTED, ages, now)
    shown = {
        "sources": lines,
        "running": any(line["running"] for line in lines),
        "providers": [line | {"number": f"{line['count']:,}"} for line in changes.price_ages()],
        "waiting": sum(getattr(made, "waiting", 0) for made in changes.change_sets()[:LINES]),
        "accelerators": selectors.accelerators(),
        "instances": selectors.instances(),
        "models": selectors.models(),
        "may_edit": may(request.user, Action.EDIT_CATALOG),
    }
    return render(request, "catalog/front.html", shown)


@require_safe
def prices(request: HttpRequest) -> HttpResponse:
    """The price explorer."""
    chosen, day, money, problem = _asked(request)
    page = Paginator(selectors.prices(chosen, day), LINES).get_page(request.GET.get("page"))
    today = timezone.localdate()
    query = request.GET.copy()
    query.pop("page", None)
    return render(
        request,
        "catalog/prices.html",
        {
            "lines": [presenters.price_line(price, money, today) for price in page],
            "page": page,
            "filters": [
                (name, chosen.get(name, ""), _named(name, values))
                for name, values in selectors.choices().items()
            ],
            "day": day,
            "money": money,
            "currencies": ["USD", *changes.currencies()],
            "problem": problem,
            "query": query.urlencode(),
            "may_edit": may(request.user, Action.EDIT_CATALOG),
        },
    )


@require_safe
def prices_csv(request: HttpRequest) -> HttpResponse:
    """Every price of the explorer's filters, exact."""
    chosen, day, money, _ = _asked(request)
    return csv_response("prices.csv", presenters.price_csv(selectors.prices(chosen, day), money))


@require_safe
def price(request: HttpRequest, pk: int) -> HttpResponse:
    """One price: who says so, since when, who changed it."""
    row = selectors.price(pk)
    if row is None:
        raise Http404("There is no such price.")
    line = presenters.price_line(row, presenters.Money(), timezone.localdate())
    shown = {"row": row, "line": line, "log": selectors.log_of(row), "trace": presenters.trace_of(row)}
    return render(request, "catalog/price.html", shown)


@require_safe
def instance(request: HttpRequest, slug: str) -> HttpResponse:
    """A machine: facts, prices by region and purchase, how they moved; all of it as of a day."""
    row = selectors.instance(slug)
    if row is None:
        raise Http404("There is no such machine in the catalog.")
    when = _when(request, row)
    held = list(selectors.prices({"instance": slug}, when["day"]))
    regions = sorted({each.region for each in held} | {offer.region for offer in selectors.offers(slug)})
    region = request.GET.get("region", "")
    if region not in regions:
        usual = [name for name in DEFAULT_REGIONS.values() if name in regions]
        region = (usual or regions or [""])[0]
    chart = price_chart(
        slug,
        region,
        selectors.price_history(slug, region),
        changes.spot_days(slug, region),
        timezone.localdate(),
    )
    then = when["then"]
    shown = {
        "row": row,
        **when,
        "facts": then and presenters.instance_facts(then),
        "clone": presenters.clone_query(row),
        # The region that the chart shows stands first.
        "lines": [
            presenters.price_line(each, presenters.Money(), when["day"])
            for each in sorted(held, key=lambda each: each.region != region)
        ],
        "regions": regions,
        "region": region,
        "chart": chart,
        "offers": selectors.offers(slug),
        "evidence": evidence.of_chip(presenters.chip_asked(row.accelerator, row.accelerators_per_node)),
        "log": selectors.log_of(row),
    }
    return render(request, "catalog/instance.html", shown)


@require_safe
def accelerator(request: HttpRequest, slug: str) -> HttpResponse:
    """A chip: rates by precision, memory, MIG profiles, machines that have it, what runs reach."""
    row = selectors.accelerator(slug)
    if row is None:
        raise Http404("There is no such accelerator in the catalog.")
    when = _when(request, row)
    then = when["then"]
    shown = {
        "row": row,
        **when,
        "facts": then and presenters.accelerator_facts(then),
        "rates": then and presenters.rates(then),
        "profiles": selectors.mig_profiles(row),
        "machines": selectors.machines_of(row),
        "evidence": evidence.of_chip(presenters.chip_asked(row)),
        "log": selectors.log_of(row),
    }
    return render(request, "catalog/accelerator.html", shown)


@require_safe
def model(request: HttpRequest, slug: str) -> HttpResponse:
    """A model: its published counts, its shape, what it was trained on, and who says so."""
    row = selectors.model(slug)
    if row is None:
        raise Http404("There is no such model in the catalog.")
    when = _when(request, row)
    then = when["then"]
    shown = {
        "row": row,
        **when,
        "facts": then and presenters.model_facts(then),
        "shape": sorted(then.config.items()) if then and isinstance(then.config, dict) else [],
        "evidence": evidence.of_model(presenters.record_of(row)),
        "log": selectors.log_of(row),
    }
    return render(request, "catalog/model.html", shown)


def _when(request: HttpRequest, row: CatalogRow) -> dict[str, Any]:
    """The day that is asked for, the row as it was then (None: not there yet), what is wrong with the day."""
    today = timezone.localdate()
    day, problem = _day(request, today)
    return {
        "day": day,
        "today": today,
        "then": row if day >= today else as_it_was(row, day),
        "problem": problem,
    }


def _day(request: HttpRequest, today: date) -> tuple[date, str]:
    text = request.GET.get("as_of", "").strip()
    try:
        return (date.fromisoformat(text) if text else today), ""
    except ValueError:
        return today, f"“{text[:20]}” is no day: write it as 2025-06-01. Shown is today."


def _asked(request: HttpRequest) -> tuple[dict[str, str], date, presenters.Money, str]:
    """Filters, day, currency, and what is wrong with them."""
    chosen = {name: request.GET.get(name, "")[:60] for name in selectors.FILTERS}
    day, problem = _day(request, timezone.localdate())
    currency = request.GET.get("currency", "USD")[:3].upper()
    rate = None if currency == "USD" else changes.exchange_rate(currency, day)
    if rate is None and currency != "USD":
        problem = problem or f"No rate of {currency} is known up to {day.isoformat()}; shown are US dollars."
    return chosen, day, presenters.money_of(rate), problem


def _named(name: str, values: list[str]) -> list[tuple[str, Any]]:
    return [(value, PURCHASES[value].label if name == "purchase" else value) for value in values]
