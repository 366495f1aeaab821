"""The JSON contract over HTTP: POST a question, GET the lists that questions choose from.

Nothing is written, so no CSRF token is needed; a page elsewhere cannot read the answers. Where the pages need
a login, so does the API: a token or the cookie, else 401 in the contract's form rather than a redirect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from planner.accounts.policy import Action
from planner.accounts.rights import needs
from planner.api.filters import FILTERS
from planner.api.openapi import openapi_document
from planner.catalog import selectors
from planner.catalog.facts.catalog import Catalog
from planner.contract.jsontext import MAX_JSON_BYTES, excerpt, read_json, too_long, write_json
from planner.contract.lists import render_accelerators, render_instances, render_models
from planner.contract.render import render_error
from planner.contract.schema import json_schema
from planner.engine.question.errors import PlanError
from planner.mig.answers import mig_json, mig_lines
from planner.plans import answers
from planner.tradeoffs import answers as searches
from planner.tradeoffs import jobs
from planner.web.costs import large_question, let_others_go, paid_for
from planner.web.programs import ACCEPTED, NOT_FOUND, OK, UNPROCESSABLE, Scope, answered, for_programs, listed

MAX_DRAINED_BYTES = 64 * 1_048_576
"""How much of a body that is too long is still read: a client that is cut off while sending sees a broken
connection instead of the answer."""
ASK_AGAIN_S = 1
"""When to ask again how far a search is."""
View = Callable[..., HttpResponseBase]


def endpoint(method: str, scope: Scope = Scope.PLAN) -> Callable[[View], View]:
    """An address of the planner's part of the API; ``for_programs`` says what all addresses share."""

    def decorate(view: View) -> View:
        return needs(Action.ASK if method == "POST" else Action.READ)(for_programs(method, scope)(view))

    return decorate


@endpoint("POST")
def estimate(request: HttpRequest) -> HttpResponseBase:
    """One plan: the contract's ``estimate``."""
    return _question(request, answers.estimate_json)


@large_question
@endpoint("POST")
def search(request: HttpRequest) -> HttpResponseBase:
    """The best plans over many machines: the contract's ``search``."""
    waits = partial(let_others_go, request)
    # RFC 7240: whoever prefers not to wait gets the job at once.
    patience_s = 0.0 if "respond-async" in request.headers.get("Prefer", "") else searches.WAITED_S
    return _question(
        request,
        partial(searches.search_response, waits=waits, patience_s=patience_s),
        streamed=partial(searches.search_stream, waits=waits),
    )


@endpoint("GET", Scope.PLAN)
def search_job(request: HttpRequest, key: str) -> HttpResponseBase:
    """A search that went to a worker: its response, or how far it is."""
    found = searches.job_response(key)
    return _no_job(key) if found is None else _of_job(found)


@endpoint("POST")
def cancel_search(request: HttpRequest, key: str) -> HttpResponseBase:
    """Stop a search: its workers see it within a second. What is done is kept for the same question."""
    job = jobs.cancel(key)
    return _no_job(key) if job is None else answered(searches.job_answer(job, None))


def _no_job(key: str) -> HttpResponse:
    problem = PlanError("", excerpt(key), "There is no search of this key.", "POST its question to search.")
    return answered(render_error(problem), NOT_FOUND)


def _of_job(value: dict[str, Any]) -> HttpResponse:
    """An answer, or where to ask for it again."""
    if "job" not in value:
        return answered(value, UNPROCESSABLE if "error" in value else OK)
    response = answered(value, ACCEPTED)
    response["Location"] = reverse("planner:api:search_job", args=[value["job"]["key"]])
    response["Retry-After"] = str(ASK_AGAIN_S)
    return response


@large_question
@endpoint("POST")
def mig(request: HttpRequest) -> HttpResponseBase:
    """Partitions of GPUs: the contract's ``mig``."""
    return _question(request, mig_json, streamed=mig_lines)


@endpoint("GET", Scope.CATALOG)
def models(request: HttpRequest) -> HttpResponse:
    """The catalog's models with their counted parameters."""
    return listed(request, "models", render_models(selectors.current_catalog()), FILTERS["models"])


@endpoint("GET", Scope.CATALOG)
def instances(request: HttpRequest) -> HttpResponse:
    """The catalog's instance types with regions and today's prices in the default region."""
    return listed(request, "instances", render_instances(selectors.current_catalog()), FILTERS["instances"])


@endpoint("GET", Scope.CATALOG)
def accelerators(request: HttpRequest) -> HttpResponse:
    """The catalog's accelerators in SI units."""
    rows = render_accelerators(selectors.current_catalog())
    return listed(request, "accelerators", rows, FILTERS["accelerators"])


@endpoint("GET", Scope.CATALOG)
def schema(request: HttpRequest) -> HttpResponse:
    """The requests of ``estimate`` and ``search`` as JSON Schema."""
    return answered(json_schema())


@endpoint("GET", Scope.CATALOG)
def openapi(request: HttpRequest) -> HttpResponse:
    """This API in OpenAPI 3.1."""
    return answered(openapi_document())


@csrf_exempt
@login_not_required
def unknown(request: HttpRequest, rest: str) -> HttpResponse:
    """Whatever else is asked for under the API's address."""
    refused = PlanError(
        "",
        excerpt(request.path),
        "The API has no such address.",
        "POST to estimate, search or mig, or GET models, instances, accelerators, scenarios, schema or "
        "openapi.json, each under /api/v1/.",
    )
    return answered(render_error(refused), NOT_FOUND)


def _question(
    request: HttpRequest,
    answer: Callable[[Any, Catalog], dict[str, Any]],
    *,
    streamed: Callable[[Any, Catalog], Iterator[dict[str, Any]]] | None = None,
) -> HttpResponseBase:
    """streamed: what answers a question that asks for JSON Lines."""
    body = request.read(MAX_JSON_BYTES + 1)
    if len(body) > MAX_JSON_BYTES:
        _drain(request)
        return answered(render_error(too_long()), UNPROCESSABLE)
    try:
        data = read_json(body)
    except PlanError as unreadable:
        return answered(render_error(unreadable), UNPROCESSABLE)
    catalog = selectors.current_catalog()
    if streamed is not None and searches.wants_stream(data):
        return as_json_lines(paid_for(request, streamed(data, catalog)))
    return _of_job(answer(data, catalog))


def as_json_lines(lines: Iterator[dict[str, Any]]) -> HttpResponseBase:
    """Lines as they come; a question that makes no sense is refused before the first one."""
    first = next(lines)
    if "error" in first:
        return answered(first, UNPROCESSABLE)
    text = (write_json(line) + "\n" for line in chain((first,), lines))
    response = StreamingHttpResponse(text, content_type="application/x-ndjson")
    # A proxy that collects the lines would make them useless.
    response["X-Accel-Buffering"] = "no"
    return response


def _drain(request: HttpRequest) -> None:
    """Take in the rest of a body and forget it."""
    left = MAX_DRAINED_BYTES
    while left > 0 and (chunk := request.read(MAX_JSON_BYTES)):
        left -= len(chunk)
