"""Asking AWS: clients with the SDK's own credentials chain, pages with retries, refusals with the action
to allow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from planner.catalog.changes.observed import Fault, NotSetUpError

#: Codes with which AWS services ask a caller to come back later.
LATER = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded",
    "TooManyRequestsException",
    "RequestThrottled", "ServiceUnavailable", "InternalError", "InternalFailure", "InternalErrorException",
    "InternalServerException", "Unavailable",
}  # fmt: skip
#: Codes with which they refuse.
REFUSED = {
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired", "AuthFailure",
    "InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException",
    "RequestExpired", "SignatureDoesNotMatch",
}  # fmt: skip
ATTEMPTS = 5
FIRST_WAIT_S = 0.5
#: The SDK's own retries, beneath ours; its limits keep a hanging endpoint from holding a worker.
CONFIG = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=10, read_timeout=60)

ClientMaker = Callable[[str, str], Any]


class PartError(Exception):
    """One part could not be read; the others may still be."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def make_client(service: str, region: str) -> Any:
    """A client of one service in one region.  Raises NotSetUpError where the chain has no credentials."""
    session = boto3.session.Session()
    try:
        if session.get_credentials() is None:
            raise NotSetUpError("No AWS credentials: environment, shared files and instance role have none.")
        return session.client(service, region_name=region, config=CONFIG)
    except (NoRegionError, BotoCoreError) as failure:
        raise NotSetUpError(f"The AWS configuration cannot be used: {failure}") from failure


def pages(
    call: Callable[..., Mapping[str, Any]],
    arguments: Mapping[str, Any],
    *,
    action: str,
    part: str,
    token: str = "NextToken",
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Mapping[str, Any]]:
    """Each page of an answer; a page that fails is asked for again, from its own token.

    action: IAM action of the call.  token: the name under which the answer gives, and the call takes, it.
    Raises PartError where a page cannot be had, after ``ATTEMPTS``; the pages before it have been given.
    """
    given: dict[str, Any] = dict(arguments)
    seen: set[str] = set()
    while True:
        page = _page(call, given, action=action, part=part, wait=wait)
        yield page
        following = page.get(token)
        if not following:
            return
        if following in seen:
            raise PartError(
                Fault(part=part, message="The answer's pages go in a circle; the rest is left out.")
            )
        seen.add(following)
        given[token] = following


def _page(
    call: Callable[..., Mapping[str, Any]],
    arguments: Mapping[str, Any],
    *,
    action: str,
    part: str,
    wait: Callable[[float], None],
) -> Mapping[str, Any]:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call(**arguments)
        except (NoCredentialsError, PartialCredentialsError) as none:
            raise NotSetUpError(f"No AWS credentials: {none}") from none
        except ClientError as refused:
            code = refused.response.get("Error", {}).get("Code", "")
            if code in LATER and attempt < ATTEMPTS:
                wait(FIRST_WAIT_S * 2 ** (attempt - 1))
                continue
            raise PartError(fault_of(refused, action=action, part=part)) from refused
        except BotoCoreError as failure:  # time-outs, broken connections, answers that cannot be read
            if attempt < ATTEMPTS:
                wait(FIRST_WAIT_S * 2 ** (attempt - 1))
                continue
            raise PartError(Fault(part=part, message=f"{action}: {failure}")) from failure
    raise AssertionError("unreachable")


def fault_of(refused: ClientError, *, action: str, part: str) -> Fault:
    """A refusal in words, with what to allow."""
    error = refused.response.get("Error", {})
    code, message = error.get("Code", "?"), error.get("Message", "")
    remedy = ""
    if code in (
        "AuthFailure",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
    ):
        remedy = "These credentials are not accepted: check them, and whether the region is enabled."
    elif code in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        remedy = "The credentials or the clock are out of date: renew them."
    elif code in REFUSED:
        remedy = f"Allow the action {action} to these credentials (docs/catalog.md has the whole policy)."
    elif code in LATER:
        remedy = "AWS asks to come back later; the next refresh will."
    return Fault(part=part, message=f"{action}: {code} {message}".strip(), remedy=remedy)
