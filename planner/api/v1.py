"""The JSON contract over HTTP: POST a question, GET the lists that questions choose from.

Nothing is written, so no CSRF token is needed; a page elsewhere cannot read the answers. Where the pages need
a login, so does the API, with 401 in the contract's form rather than a redirect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from itertools import chain
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from planner.accounts.policy import Action
from planner.accounts.rights import needs
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

OK, UNAUTHORIZED, NOT_FOUND, NOT_ALLOWED, UNPROCESSABLE = 200, 401, 404, 405, 422
MAX_DRAINED_BYTES = 64 * 1_048_576
"""How much of a body that is too long is still read: a client that is cut off while sending sees a broken
connection instead of the answer."""
View = Callable[[HttpRequest], HttpResponseBase]


def endpoint(method: str) -> Callable[[View], View]:
    """What every address of the API shares: one method, a login where pages need one, errors as JSON."""

    def decorate(view: View) -> View:
        @needs(Action.ASK if method == "POST" else Action.READ)
        @csrf_exempt
        @login_not_required
        @wraps(view)
        def checked(request: HttpRequest) -> HttpResponseBase:
            if request.method != method and not (method == "GET" and request.method == "HEAD"):
                refused = PlanError(
                    "", request.method, f"This address accepts only {method}.", f"Send {method}."
                )
                answer = answered(render_error(refused), NOT_ALLOWED)
                answer["Allow"] = method
                return answer
            if settings.LOGIN_REQUIRED and not request.user.is_authenticated:
                refused = PlanError(
                    "", None, "This address needs a login.", "Log in first and send the cookie."
                )
                return answered(render_error(refused), UNAUTHORIZED)
            return view(request)

        return checked

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


@endpoint("GET")
def models(request: HttpRequest) -> HttpResponse:
    """The catalog's models with their counted parameters."""
    return answered({"models": render_models(selectors.current_catalog())})


@endpoint("GET")
def instances(request: HttpRequest) -> HttpResponse:
    """The catalog's instance types with regions and today's prices in the default region."""
    return answered({"instances": render_instances(selectors.current_catalog())})


@endpoint("GET")
def accelerators(request: HttpRequest) -> HttpResponse:
    """The catalog's accelerators in SI units."""
    return answered({"accelerators": render_accelerators(selectors.current_catalog())})


@endpoint("GET")
def schema(request: HttpRequest) -> HttpResponse:
    """The requests of ``estimate`` and ``search`` as JSON Schema."""
    return answered(json_schema())


@csrf_exempt
@login_not_required
def unknown(request: HttpRequest, rest: str) -> HttpResponse:
    """Whatever else is asked for under the API's address."""
    refused = PlanError(
        "",
        excerpt(request.path),
        "The API has no such address.",
        "POST to estimate, search or mig, or GET models, instances, accelerators or schema, each under "
        "/api/v1/.",
    )
    return answered(render_error(refused), NOT_FOUND)


def answered(value: dict[str, Any], status: int = OK) -> HttpResponse:
    return HttpResponse(write_json(value), content_type="application/json", status=status)


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
