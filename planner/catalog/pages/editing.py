"""Pages that write: a new price, refreshes on demand, deciding on changes; and what a node of one's own
costs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from planner.accounts.policy import Action
from planner.accounts.rights import may, needs
from planner.catalog.changes import selectors, services
from planner.catalog.changes.effects import Preview, preview
from planner.catalog.changes.models import Change
from planner.catalog.facts.owning import trace
from planner.catalog.facts.records import DEFAULT_REGIONS
from planner.catalog.pages import selectors as rows
from planner.catalog.pages.forms import NewPriceForm, OwnedForm
from planner.catalog.pages.services import new_price_from, price_of_owned
from planner.catalog.refresh.sources import LISTED

DECISIONS = {"accept": services.accept, "reject": services.reject, "undo": services.undo}
WORDS = {"accept": "Accepted", "reject": "Rejected", "undo": "Undone"}
LINES = 500


@needs(Action.EDIT_CATALOG)
@require_http_methods(["GET", "HEAD", "POST"])
def new_price(request: HttpRequest, pk: int) -> HttpResponse:
    """A new price from an old one: the old one ends on the day on which the new one begins."""
    old = rows.price(pk)
    if old is None:
        raise Http404("There is no such price.")
    first = {"valid_from": timezone.localdate(), "negotiated": old.negotiated}
    form = NewPriceForm(request.POST or None, old=old, initial=first)
    if request.method == "POST" and form.is_valid():
        made = new_price_from(old, form.cleaned_data, who=request.user.get_username())
        messages.success(request, f"{made} holds from {made.valid_from.isoformat()} on.")
        return redirect("planner:catalog_price", pk=made.pk)
    return render(request, "catalog/new_price.html", {"form": form, "old": old})


@needs(Action.EDIT_CATALOG)
@require_POST
def refresh(request: HttpRequest) -> HttpResponse:
    """Ask for one source to be read now."""
    slug = request.POST.get("source", "")
    titles = {known: title for known, title, _ in LISTED}
    if slug not in titles:
        raise Http404("There is no such source.")
    from planner.catalog.refresh import tasks  # with Celery, which pages that only read do without

    tasks.refresh.delay(slug, asked_by=request.user.get_username())
    messages.success(request, f"{titles[slug]} is being read; this page shows how far it is.")
    return redirect("planner:catalog")


@require_safe
def change_sets(request: HttpRequest) -> HttpResponse:
    """Every change set, the newest first."""
    return render(request, "catalog/changes.html", {"sets": selectors.change_sets()[:100]})


@require_safe
def change_set(request: HttpRequest, pk: int) -> HttpResponse:
    """One change set: its changes, and what may be decided about them."""
    return _shown(request, pk)


@needs(Action.EDIT_CATALOG)
@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept, reject or undo the chosen changes, or show what accepting would do."""
    chosen = [int(text) for text in request.POST.getlist("change") if text.isdigit()]
    decision, _, all_of_them = request.POST.get("decision", "").partition("_")
    if all_of_them or (not chosen and request.POST.get("all")):
        wanted = Change.State.ACCEPTED if decision == "undo" else Change.State.PROPOSED
        chosen = [change.pk for change in selectors.unflagged(pk, wanted)]
    if not chosen:
        messages.error(request, "No change is chosen.")
        return redirect("planner:catalog_change_set", pk=pk)
    found = selectors.changes_of(pk, chosen)
    if decision == "preview":
        return _shown(request, pk, previews=preview(found), chosen=set(chosen))
    if decision not in DECISIONS:
        raise Http404("There is no such decision.")
    outcome = DECISIONS[decision](
        found, who=request.user.get_username(), why=request.POST.get("why", ""), now=timezone.now()
    )
    messages.success(request, f"{WORDS[decision]}: {outcome.done}.")
    for problem in outcome.problems[:10]:
        messages.error(request, problem)
    return redirect("planner:catalog_change_set", pk=pk)


@needs(Action.EDIT_CATALOG)
@require_safe
def effect(request: HttpRequest, pk: int) -> HttpResponse:
    """What accepting all that is not flagged would do to plans, as a part of the change set's page."""
    waiting = selectors.unflagged(pk, Change.State.PROPOSED)
    shown = {
        "previews": preview(waiting) if 0 < len(waiting) <= LINES else [],
        "heading": f"If all {len(waiting)} that are not flagged are accepted:",
    }
    return render(request, "catalog/previews.html", shown)


@require_safe
def owned(request: HttpRequest) -> HttpResponse:
    """What a node of one's own costs an hour, with the formula; nothing is stored."""
    return _owned(request, OwnedForm(request.GET or None, machines=rows.instances()))


@needs(Action.EDIT_CATALOG)
@require_POST
def keep_owned(request: HttpRequest) -> HttpResponse:
    """Keep what was computed as a machine's price, in place of its list price."""
    form = OwnedForm(request.POST, machines=rows.instances())
    if not form.is_valid():
        return _owned(request, form)
    machine = rows.instance(form.cleaned_data["instance"])
    if machine is None:
        form.add_error("instance", "Choose the machine whose price this is.")
        return _owned(request, form)
    region = DEFAULT_REGIONS[machine.provider]
    made = price_of_owned(machine, form.node(), region=region, who=request.user.get_username())
    messages.success(request, f"{made} is what plans on it cost from today on.")
    return redirect("planner:catalog_price", pk=made.pk)


def _owned(request: HttpRequest, form: OwnedForm) -> HttpResponse:
    computed = form.is_bound and form.is_valid()
    shown = {
        "form": form,
        "trace": trace(form.node()) if computed else (),
        "machine": rows.instance(form.cleaned_data["instance"]) if computed else None,
        "kept": [(name, value) for name, value in form.cleaned_data.items()] if computed else [],
        "may_keep": may(request.user, Action.EDIT_CATALOG),
    }
    return render(request, "catalog/owned.html", shown)


def _shown(
    request: HttpRequest, pk: int, previews: list[Preview] | None = None, chosen: set[int] | None = None
) -> HttpResponse:
    found = selectors.change_set(pk)
    if found is None:
        raise Http404("There is no such change set.")
    shown: dict[str, Any] = {
        "set": found,
        "changes": selectors.changes_of(pk)[:LINES],
        "easy": len(selectors.unflagged(pk, Change.State.PROPOSED)),
        "cut": max(0, found.total - LINES),  # type: ignore[attr-defined]
        "may_edit": may(request.user, Action.EDIT_CATALOG),
        "previews": previews or [],
        "chosen": chosen or set(),
    }
    return render(request, "catalog/change_set.html", shown)
