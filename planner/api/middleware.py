"""Before the API is asked: whose token is it?  Around a write that carries a key: has it been done before?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from planner.api import services
from planner.contract.jsontext import MAX_JSON_BYTES
from planner.web.programs import UNAUTHORIZED, refused, view_of

Answering = Callable[[HttpRequest], HttpResponse]
ROOT = "/api/v1/"
CONFLICT = 409
KEPT = (200, 201, 202, 204, 404, 409, 422)
"""Answers to a write that stay as they are when it is sent again; refusals and faults may be mended."""
LONGEST_KEY = 200


class BearerTokens:
    """Who asks with a token is its owner, within the token's scopes; only under the API's root.

    A token that is not in force is refused, also where a stranger would be answered: a program would else
    not learn that its token has expired.
    """

    def __init__(self, get_response: Answering) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, unless the token is not in force."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not request.path.startswith(ROOT):
            return self.get_response(request)
        token = services.use_token(text.strip(), now=timezone.now())
        if token is None:
            answer = refused(
                "This token is unknown, expired or revoked.",
                "Make a new one on the page of tokens.",
                status=UNAUTHORIZED,
            )
            answer["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            return answer
        request.user = token.owner
        request.token_scopes = frozenset(token.scopes)  # type: ignore[attr-defined]
        return self.get_response(request)


class Idempotency:
    """A write that comes with an Idempotency-Key is done once; sent again, it gets the same answer.

    Source: IETF draft-ietf-httpapi-idempotency-key-header-07, read 2026-11-29.
    """

    def __init__(self, get_response: Answering) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and keep the answer to what was done under a key."""
        try:
            answer = self.get_response(request)
        except BaseException:
            self._end(request, None)
            raise
        self._end(request, answer)
        return answer

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """The kept answer, where this write was done before."""
        view, key = view_of(view, request), request.headers.get("Idempotency-Key", "")
        if not key or not getattr(view, "writes", False) or not request.user.is_authenticated:
            return None
        if view.scope not in getattr(request, "token_scopes", (view.scope,)):  # type: ignore[attr-defined]
            return None  # the view says so
        if len(key) > LONGEST_KEY or not (key.isascii() and key.isprintable()):
            return refused(
                f"The Idempotency-Key is not 1 to {LONGEST_KEY} printable ASCII characters.",
                "Send a UUID, another one for each write.",
                field="Idempotency-Key",
                value=key[:60],
            )
        body = request.read(MAX_JSON_BYTES + 1)
        request._body, request._stream = body, BytesIO(body)  # the view reads it again
        asked = f"{request.method} {request.get_full_path()}\n".encode() + body
        question = hashlib.sha256(asked).hexdigest()
        kept = services.claim_key(request.user, key, question, now=timezone.now())
        if kept is None:
            request.claimed_key = key  # type: ignore[attr-defined]
            return None
        if kept.question != question:
            return refused(
                "This Idempotency-Key was used for another request.",
                "Send a new key with each write.",
                field="Idempotency-Key",
                value=key[:60],
            )
        if kept.status is None:
            answer = refused("The same write is still going on.", "Ask again in a second.", status=CONFLICT)
            answer["Retry-After"] = "1"
            return answer
        again = HttpResponse(kept.body, content_type="application/json", status=kept.status)
        again["Idempotent-Replayed"] = "true"
        return again

    def _end(self, request: HttpRequest, answer: HttpResponse | None) -> None:
        key = getattr(request, "claimed_key", None)
        if key is None:
            return
        if answer is None or answer.status_code not in KEPT or answer.streaming:
            services.forget_key(request.user, key)
        else:
            services.keep_answer(
                request.user, key, status=answer.status_code, body=answer.content.decode(answer.charset)
            )
