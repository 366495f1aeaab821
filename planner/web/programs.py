"""What every address for programs shares: scopes of tokens, errors as JSON, lists in pages, entity tags.

Knows nothing of what is asked. Planner and fleet answer programs through these functions, so that both refuse
in the same words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import quote_etag, urlencode
from django.views.decorators.csrf import csrf_exempt

from planner.engine.question.errors import PlanError, error_answer

OK, ACCEPTED = 200, 202
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED, UNPROCESSABLE = 401, 403, 404, 405, 422
View = Callable[..., HttpResponseBase]
Rows = Sequence[Mapping[str, Any]]
MAX_LIMIT = 1000
"""Rows of a list that one answer holds at most, where a limit is asked for."""


class Scope(StrEnum):
    """What a token may be used for. It narrows what its owner may do, and never widens it."""

    CATALOG = "catalog"
    PLAN = "plan"
    SCENARIOS = "scenarios"
    SAVE = "save"
    FLEET = "fleet"
    PROBE = "probe"


SCOPES = {
    Scope.CATALOG: "read models, machines and prices",
    Scope.PLAN: "ask for estimates, searches and partitions",
    Scope.SCENARIOS: "read saved scenarios",
    Scope.SAVE: "save scenarios and delete your own",
    Scope.FLEET: "read hosts, GPUs and their readings",
    Scope.PROBE: "ask hosts for a probe",
}
"""Each scope in words, as the page of tokens offers it."""


def for_programs(method: str, scope: Scope, *, writes: bool = False) -> Callable[[View], View]:
    """Make a view an address of the API: one method, a login where pages need one, the token's scope, a tag.

    writes: the request changes something; it then needs a login always, and may carry an Idempotency-Key.
    """

    def decorate(view: View) -> View:
        @csrf_exempt
        @login_not_required
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method != method and not (method == "GET" and request.method == "HEAD"):
                return _not_taken(request, [method])
            if (wrong := _not_let_in(request, scope, writes=writes)) is not None:
                return wrong
            response = view(request, *args, **kwargs)
            return tagged(request, response) if method == "GET" else response

        checked.scope = scope  # type: ignore[attr-defined]
        checked.writes = writes  # type: ignore[attr-defined]
        return checked

    return decorate


def by_method(**views: View) -> View:
    """One address with a view for each of its methods; who asks what a view needs asks ``view_of``."""

    @csrf_exempt
    @login_not_required
    def chosen(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        view = view_of(chosen, request)
        return _not_taken(request, list(views)) if view is chosen else view(request, *args, **kwargs)

    chosen.by_method = views  # type: ignore[attr-defined]
    return chosen


def view_of(view: Any, request: HttpRequest) -> Any:
    """The view that answers this method; the view itself where it answers all that it takes."""
    method = "GET" if request.method == "HEAD" else request.method
    return getattr(view, "by_method", {}).get(method, view)


def _not_taken(request: HttpRequest, methods: list[str]) -> HttpResponse:
    said = " or ".join(methods)
    answer = refused(
        f"This address accepts only {said}.", f"Send {said}.", value=request.method, status=NOT_ALLOWED
    )
    answer["Allow"] = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
    return answer


def _not_let_in(request: HttpRequest, scope: Scope, *, writes: bool) -> HttpResponse | None:
    scopes: frozenset[str] | None = getattr(request, "token_scopes", None)
    if (settings.LOGIN_REQUIRED or writes) and not request.user.is_authenticated:
        answer = refused(
            "This address needs a login.",
            "Send Authorization: Bearer with a token from the page of tokens, or log in and send the cookie.",
            status=UNAUTHORIZED,
        )
        answer["WWW-Authenticate"] = 'Bearer realm="headroom"'
        return answer
    if writes and scopes is None and not _sent_by_own_page(request):
        return refused(
            "What changes something is accepted with a token alone.",
            "Send Authorization: Bearer with a token that has the scope.",
            status=FORBIDDEN,
        )
    if scopes is not None and scope not in scopes:
        answer = refused(
            f"This token has not the scope {scope.value} ({SCOPES[scope]}).",
            "Make a token that has it on the page of tokens.",
            value=sorted(scopes),
            status=FORBIDDEN,
        )
        answer["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{scope.value}"'
        return answer
    return None


def _sent_by_own_page(request: HttpRequest) -> bool:
    """Whether a browser says that a page of this very origin asks; a cookie alone proves nothing.

    Source: W3C, Fetch Metadata Request Headers, read 2026-11-29.
    """
    return request.headers.get("Sec-Fetch-Site") == "same-origin"


def answered(value: Mapping[str, Any], status: int = OK) -> HttpResponse:
    """A JSON object; a NaN in it is a mistake of this program and raises ValueError."""
    text = json.dumps(value, allow_nan=False)
    return HttpResponse(text, content_type="application/json", status=status)


def refused(
    message: str, remedy: str, *, field: str = "", value: Any = None, status: int = UNPROCESSABLE
) -> HttpResponse:
    """A refusal in the contract's form."""
    return refused_all([PlanError(field, value, message, remedy)], status=status)


def refused_all(problems: Sequence[PlanError], *, status: int = UNPROCESSABLE) -> HttpResponse:
    """Several problems at once."""
    return answered(error_answer([problem.as_dict() for problem in problems]), status)


def tag_of(content: bytes) -> str:
    """The ETag of an answer."""
    return quote_etag(hashlib.sha256(content).hexdigest()[:32])


def tagged(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer with its ETag, or 304 where the client has it already."""
    if response.status_code != OK or not isinstance(response, HttpResponse):
        return response
    tag = tag_of(response.content)
    response["ETag"] = tag
    response["Cache-Control"] = "private, no-cache"
    patch_vary_headers(response, ("Authorization", "Cookie"))
    return get_conditional_response(request, etag=tag, response=response) or response


def listed(
    request: HttpRequest,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    filters: Mapping[str, Callable[[Mapping[str, Any], str], bool]],
) -> HttpResponse:
    """The rows that match the address's filters: ``limit`` rows from ``offset`` on, all without a limit.

    Answers with the rows under ``name``, ``total`` (of what matches) and ``next`` (an address or null).
    A parameter that is not known is an error, as a field of a request is.
    """

    def page(offset: int, limit: int | None) -> tuple[Rows, int]:
        found = [
            row
            for row in rows
            if all(matches(row, request.GET[key]) for key, matches in filters.items() if key in request.GET)
        ]
        return found[offset:] if limit is None else found[offset : offset + limit], len(found)

    return paged(request, name, page, filters)


def paged(
    request: HttpRequest,
    name: str,
    page: Callable[[int, int | None], tuple[Rows, int]],
    filters: Iterable[str],
    *,
    most: int | None = None,
) -> HttpResponse:
    """As ``listed``, for rows that are not all at hand.

    page: rows from an offset, as many as its limit, and how many match.  filters: the parameters that it
    knows.  most: the limit where none is asked for (None: no limit).
    """
    known = (*filters, "limit", "offset")
    wrong = [
        PlanError(given, None, f'This list has no parameter "{given[:60]}".', f"Use {', '.join(known)}.")
        for given in request.GET
        if given not in known
    ]
    limit = _whole(request, "limit", 1, MAX_LIMIT, wrong) or most
    offset = _whole(request, "offset", 0, 10**9, wrong) or 0
    if wrong:
        return refused_all(wrong)
    rows, total = page(offset, limit)
    further = None
    if limit is not None and offset + limit < total:
        kept = {key: str(value) for key, value in request.GET.items() if key != "offset"}
        further = f"{request.path}?{urlencode({**kept, 'offset': str(offset + limit)})}"
    answer = answered({name: rows, "total": total, "next": further})
    if further:
        answer["Link"] = f'<{further}>; rel="next"'
    return answer


def _whole(request: HttpRequest, name: str, low: int, high: int, wrong: list[PlanError]) -> int | None:
    if name not in request.GET:
        return None
    text = request.GET[name]
    if text.isascii() and text.isdigit() and len(text) <= 12 and low <= int(text) <= high:
        return int(text)
    message = f"{name} is no whole number from {low:,} to {high:,}."
    wrong.append(PlanError(name, text[:60], message, f"Give such as {name}={max(low, 20)}."))
    return None
