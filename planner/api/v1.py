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
from planner.mig.answers import mig_json
from planner.plans import answers
from planner.tradeoffs import answers as searches
from planner.web.costs import large_question, let_others_go
from planner.web.programs import NOT_FOUND, OK, UNPROCESSABLE, Scope, answered, for_programs, listed

MAX_DRAINED_BYTES = 64 * 1_048_576
"""How much of a body that is too long is still read: a client that is cut off while sending sees a broken
connection instead of the answer."""
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
    return _question(
        request,
        partial(searches.search_response, waits=waits),
        streamed=partial(searches.search_stream, waits=waits),
    )


@large_question
@endpoint("POST")
def mig(request: HttpRequest) -> HttpResponseBase:
    """Partitions of GPUs: the contract's ``mig``."""
    return _question(request, mig_json)


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
        return as_json_lines(streamed(data, catalog))
    value = answer(data, catalog)
    return answered(value, UNPROCESSABLE if "error" in value else OK)


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
