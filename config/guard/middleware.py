"""Middlewares in the order in which they stand: how often, how many at once, how much each."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import ipaddress
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

from config.guard.answers import turned_away
from planner.engine.question import effort
from planner.engine.question.errors import PlanError, PlanErrors
from planner.web import telemetry
from planner.web.programs import view_of

Answering = Callable[[HttpRequest], HttpResponse]
BAD_REQUEST, UNPROCESSABLE, TOO_MANY, BUSY = 400, 422, 429, 503
log = logging.getLogger("headroom.requests")
_NUMBER = re.compile(r"[A-Za-z0-9_-]{8,64}")
#: Asked while nothing else may be answered, so never refused and never counted.
HEALTH = "/healthz"
MINUTE_S = 60
RETRY_S = 2
#: A question this large leaves enough freed memory behind for giving it back to be worth the milliseconds.
MUCH_PLANS = 50_000


class Doorway:
    """Turns away addresses that no page has: with the sign zero, which no database takes as text."""

    def __init__(self, get_response: Answering) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, unless the address cannot be meant."""
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            wrong = PlanError("", None, "The address holds the sign zero.", "Leave it out.")
            return turned_away(request, [wrong], status=BAD_REQUEST, title="Request not understood")
        return self.get_response(request)


class RequestLog:
    """One line for each request, with its number, and its part of the counts; the number goes back in
    X-Request-ID.
    """

    def __init__(self, get_response: Answering) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and say how long it took."""
        began = time.perf_counter()
        given = request.headers.get("X-Request-ID", "")
        number = given if _NUMBER.fullmatch(given) else secrets.token_hex(8)
        answer = self.get_response(request)
        answer["X-Request-ID"] = number
        took_s = time.perf_counter() - began
        route = request.resolver_match.route if request.resolver_match else "none"
        telemetry.note_request(str(request.method), route, answer.status_code, took_s)
        if request.path != HEALTH:
            more = {
                "request_id": number,
                "method": request.method,
                "path": request.path,
                "status": answer.status_code,
                "duration_s": round(took_s, 4),
                "address": request.META.get("REMOTE_ADDR", ""),
            }
            log.info("%s %s %d", request.method, request.path, answer.status_code, extra=more)
        return answer


class Rates:
    """Requests of one client within a minute, counted in the cache; 429 beyond the limit, with Retry-After.

    A client is an address, of IPv6 its network of 64 bits. Every answer of the interface for programs says
    how many are left.
    """

    def __init__(self, get_response: Answering) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, unless the client has had its share."""
        limit = settings.REQUESTS_A_MINUTE
        if not limit or request.path == HEALTH:
            return self.get_response(request)
        now = time.time()
        reset_s = MINUTE_S - int(now) % MINUTE_S
        left = limit - _count(f"rate:{client_of(request)}:{int(now) // MINUTE_S}")
        if left < 0:
            refused = PlanError(
                "",
                None,
                f"More than {limit} requests within a minute.",
                f"Wait {reset_s} s, and then ask less often.",
            )
            answer = turned_away(
                request, [refused], status=TOO_MANY, title="Too many requests", retry_after_s=reset_s
            )
        else:
            answer = self.get_response(request)
        if "/api/" in request.path:
            answer["RateLimit-Limit"] = str(limit)
            answer["RateLimit-Remaining"] = str(max(left, 0))
            answer["RateLimit-Reset"] = str(reset_s)
        return answer


def client_of(request: HttpRequest) -> str:
    """What tells clients apart: the address, or of IPv6 the network that one subscriber has."""
    sender = request.META.get("REMOTE_ADDR", "")
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(sender)
        if address.version == 6:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return str(sender)


def _count(key: str) -> int:
    cache.add(key, 0, timeout=2 * MINUTE_S)
    try:
        return cache.incr(key)
    except ValueError:  # it went in between
        return 1


class Crowd:
    """No more requests at once than leave a thread for `/healthz`; the others are told to come again."""

    def __init__(self, get_response: Answering) -> None:
        self.get_response = get_response
        self.places = threading.BoundedSemaphore(max(1, settings.WEB_THREADS - 2))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, if a thread can be spared."""
        if request.path == HEALTH:
            return self.get_response(request)
        if not self.places.acquire(blocking=False):
            return too_busy(request)
        try:
            answer = self.get_response(request)
        except BaseException:
            self.places.release()
            raise
        _when_sent(answer, self.places.release)
        return answer


def too_busy(request: HttpRequest) -> HttpResponse:
    """503: every place is taken."""
    refused = PlanError("", None, "The server is answering others.", f"Try again in {RETRY_S} s.")
    return turned_away(request, [refused], status=BUSY, title="The server is busy", retry_after_s=RETRY_S)


def _when_sent(answer: HttpResponse, then: Callable[[], None]) -> None:
    """Call ``then`` once: now, or when the last piece of a streamed answer has gone."""
    if getattr(answer, "streaming", False):
        answer._resource_closers.append(then)  # type: ignore[attr-defined]  # how Django closes files
    else:
        then()


class Budget:
    """What one question may cost.  A view says by ``costs`` that it needs more, and then waits its turn."""

    def __init__(self, get_response: Answering) -> None:
        self.get_response = get_response
        self.turns = threading.BoundedSemaphore(max(1, settings.LARGE_QUESTIONS_AT_ONCE))
        self.waiting = threading.BoundedSemaphore(max(1, (settings.WEB_THREADS - 2) // 2))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer within the budget of a plain question."""
        with (
            effort.at_most(settings.MOST_PLANS, settings.MOST_PLANS_OF_A_SEARCH) as budget,
            contextlib.ExitStack() as held,
        ):
            request.effort = budget, held  # type: ignore[attr-defined]
            answer = self.get_response(request)
            # A streamed answer goes on working: what it holds is let go when it ends.
            _when_sent(answer, held.pop_all().close)
            if budget.used > MUCH_PLANS:
                _when_sent(answer, give_memory_back)
            return answer

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Widen the budget for a view that says so, one after the other."""
        large = getattr(view_of(view, request), "large_question", False)
        large = large(request) if callable(large) else large
        if not large or request.method in ("HEAD", "OPTIONS"):
            return None
        budget, held = request.effort  # type: ignore[attr-defined]
        try:
            held.enter_context(_turn(self.turns, self.waiting, settings.LARGE_QUESTION_WAIT_S))
        except TimeoutError:
            return too_busy(request)
        budget.widen(settings.MOST_PLANS_OF_A_SEARCH)
        return None

    def process_exception(self, request: HttpRequest, problem: Exception) -> HttpResponse | None:
        """A question that makes no sense, or means too much work, on a page that does not say so itself."""
        if isinstance(problem, PlanError):
            problem = PlanErrors([problem])
        if isinstance(problem, PlanErrors):
            return turned_away(
                request, problem.errors, status=UNPROCESSABLE, title="This question is not answered"
            )
        return None


@contextlib.contextmanager
def _turn(turns: threading.Semaphore, waiting: threading.Semaphore, wait_s: float) -> Iterator[None]:
    """Hold one of the turns. Raises TimeoutError where too many wait, or it takes too long."""
    if not turns.acquire(blocking=False):
        if not waiting.acquire(blocking=False):
            raise TimeoutError
        try:
            if not turns.acquire(timeout=wait_s):
                raise TimeoutError
        finally:
            waiting.release()
    try:
        yield
    finally:
        turns.release()


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # not glibc, which is the allocator that keeps what was freed
        return None
    return trim


def give_memory_back() -> None:
    """Hand freed memory back to the system, which glibc would keep for the threads that used it."""
    if (trim := _trim()) is not None:
        trim(0)
