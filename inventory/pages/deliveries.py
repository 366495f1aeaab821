"""The HTTP entry point for agents' deliveries. Checks the request's form and calls a service."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from inventory.store import services
from inventory.wire import policy, signing
from planner.accounts.rights import own_log
from planner.engine.question.errors import PlanError, error_answer
from planner.web.numbers import whole

CHECK_THE_AGENT = "Check that agent and server are of the same version."
REMEDIES = {
    "method": "Send POST.",
    "signature": "Check that agent and server are of the same version and that no proxy changes requests.",
    "token": "Make a new token on the server with manage.py add_host and give it to the agent.",
    "clock": "Set the host's clock; server_time_s says what the server has.",
    "replayed": "Sign the request anew.",
    "too_large": "Send fewer snapshots a request.",
}


@own_log
@login_not_required
@csrf_exempt
def snapshots(request: HttpRequest) -> JsonResponse:
    """Accept a signed delivery. 200 with the outcome of each snapshot, or the refusal with its reason.

    The signature is the authentication, so neither login nor CSRF token applies.
    """
    if request.method != "POST":
        refused = _refusal("method", "This address answers POST alone.", 405)
        refused["Allow"] = "POST"
        return refused
    now = timezone.now()
    try:
        headers = signing.parse(request.headers.get("Authorization", ""))
        body = _body(request)
        results = services.receive(
            method="POST",
            path=request.path,
            headers=headers,
            body=body,
            sender=request.META.get("REMOTE_ADDR", ""),
            now=now,
        )
    except signing.MalformedHeaderError as error:
        services.note_refusal("signature", str(error), request.META.get("REMOTE_ADDR", ""))
        return _refusal("signature", str(error), 401)
    except services.DeliveryError as refusal:
        return _refusal(refusal.kind, refusal.reason, refusal.status)
    return JsonResponse({"results": [asdict(result) for result in results], "server_time_s": now.timestamp()})


def _body(request: HttpRequest) -> bytes:
    """The body, unless it is too large to be read: then it is not even held in memory."""
    length = whole(request.headers.get("Content-Length") or "0")
    if length is None:
        raise services.DeliveryError("malformed", "Content-Length is no length.", 400)
    if length > policy.MAX_BODY_BYTES:
        services.note_refusal("too_large", f"{length} bytes announced", request.META.get("REMOTE_ADDR", ""))
        limit = policy.MAX_BODY_BYTES // 2**20
        raise services.DeliveryError("too_large", f"{length} bytes; at most {limit} MiB are accepted.", 413)
    return request.body


def _refusal(kind: str, reason: str, status: int) -> JsonResponse:
    """The refusal in the shape of all our errors; kind: what agents tell refusals apart by."""
    problem = {"kind": kind, **PlanError("", None, reason, REMEDIES.get(kind, CHECK_THE_AGENT)).as_dict()}
    answer = error_answer([problem]) | {"server_time_s": timezone.now().timestamp()}
    return JsonResponse(answer, status=status)
