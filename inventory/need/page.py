"""A plan on owned hosts, and what one host could train, as pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from inventory.need.match import have_against_need
from inventory.need.partitions import LiveGpu, free_instances, live_gpus, partitions_address
from inventory.need.pools import owned_address, pools
from inventory.need.presenters import match_row, match_verdict, subject, trainable_rows
from inventory.need.trainable import TASKS_TO_TRY, trainable
from inventory.pages.address import gpu_of_uuid, named_host
from inventory.pages.prices import Pricing, memory_slices
from inventory.store import selectors
from inventory.store.models import Host
from planner.catalog.facts.catalog import Catalog
from planner.catalog.selectors import current_catalog
from planner.engine.question.errors import PlanErrors
from planner.plans.form import ScenarioForm
from planner.plans.scenario import question_of, read_form


@require_safe
def need(request: HttpRequest) -> HttpResponse:
    """A plan matched against owned hosts: which fit, what is free now, what is missing."""
    now = timezone.now()
    form = read_form(request)
    catalog = form.catalog
    context: dict[str, Any] = {"query": form.query()}
    try:
        question = question_of(form)
    except PlanErrors as wrong:
        return render(request, "inventory/need/need.html", context | {"errors": wrong.errors}, status=422)
    hosts = list(selectors.hosts(selectors.Filters(), now=now))
    owned = pools(hosts, Pricing(catalog), now=now)
    matches = have_against_need(question, owned, catalog)
    context |= {
        "subject": subject(question),
        "verdict": match_verdict(matches, len(hosts)),
        "rows": [match_row(match) for match in matches],
        "free": [
            (found, f"{100 * min(found.chance, 0.99):.0f} %")
            for found in free_instances(_live(divided(hosts), catalog), job_of(form), catalog)
        ],
        "divided": bool(divided(hosts)),
        "partitions_query": urlencode({"run": form.query()}),
        "left_out": len(hosts) - sum(len(pool.hosts) for pool in owned),
    }
    return render(request, "inventory/need/need.html", context)


@require_safe
def partitions(request: HttpRequest) -> HttpResponse:
    """To the partitions page with the present layout of one GPU, one host, or all GPUs in MIG mode.

    Where none is in MIG mode, with all that could be.
    """
    catalog, run = current_catalog(), request.GET.get("run", "")
    if uuid := request.GET.get("gpu", ""):
        found = gpu_of_uuid(uuid)
        gpus = [gpu for gpu in _live([found.host], catalog) if gpu.index == found.index] if found.host else []
    elif name := request.GET.get("host", ""):
        gpus = _live([named_host(name)], catalog)
    else:
        hosts = list(selectors.hosts(selectors.Filters(), now=timezone.now()))
        gpus = _live(divided(hosts) or divisible_hosts(hosts, catalog), catalog)
        if not gpus:
            return HttpResponseRedirect(f"{reverse('planner:mig')}?fleet=none")
    if not gpus:
        raise Http404("no GPU here that the catalog says MIG divides")
    return HttpResponseRedirect(f"{reverse('planner:mig')}?{partitions_address(gpus, run)}")


@require_safe
def own_tradeoffs(request: HttpRequest) -> HttpResponse:
    """To the trade-offs page with the machines one has, whatever else its address says."""
    now = timezone.now()
    owned = pools(list(selectors.hosts(selectors.Filters(), now=now)), Pricing(current_catalog()), now=now)
    if not owned:
        raise Http404("no host here whose accelerators the catalog knows")
    said = request.GET.copy()
    said.setlist("own", owned_address(owned))
    return HttpResponseRedirect(f"{reverse('planner:tradeoffs')}?{said.urlencode()}")


def divided(hosts: Iterable[Host]) -> list[Host]:
    """Hosts with a GPU in MIG mode; `hosts` come with their GPUs."""
    return [host for host in hosts if any(gpu.mig_mode for gpu in host.gpus.all())]


def divisible_hosts(hosts: Iterable[Host], catalog: Catalog) -> list[Host]:
    """Hosts with a GPU that MIG could divide; `hosts` come with their GPUs."""
    pricing = Pricing(catalog)
    return [host for host in hosts if any(memory_slices(gpu.name, pricing) for gpu in host.gpus.all())]


def _live(hosts: Iterable[Host], catalog: Catalog) -> list[LiveGpu]:
    return live_gpus(selectors.latest_snapshots(hosts), Pricing(catalog))


def job_of(form: ScenarioForm) -> dict[str, Any]:
    """The form's run without its machines."""
    asked = form.request()
    return {name: asked[name] for name in ("model", "workload") if name in asked}


@require_safe
def host_trainable(request: HttpRequest, name: str) -> HttpResponse:
    """What could be trained on this host; loaded separately, since it takes the engine a moment."""
    found = named_host(name)
    catalog = current_catalog()
    owned = pools([found], Pricing(catalog), now=timezone.now())
    rows = trainable_rows(trainable(owned[0], catalog)) if owned else []
    return render(
        request, "inventory/need/trainable.html", {"host": found, "rows": rows, "tasks": TASKS_TO_TRY}
    )
