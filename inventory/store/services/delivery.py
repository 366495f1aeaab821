"""Snapshots that arrive over HTTP from host agents: who may send what, and what happens to it.

A request is signed with its host's key over method, path, time, clock offset, nonce and body
(`inventory.wire.signing`, which both sides share). Every refusal leaves a row that administrators see. No
body is parsed before its signature has been checked.
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from inventory.store.models import Event, Host, HostToken, Nonce, Refusal
from inventory.store.services.recording import Outcome, Taken, record_snapshots
from inventory.wire import policy, signing
from inventory.wire.moments import read_moment
from inventory.wire.snapshot_json import SnapshotError, from_json, pack_json

log = logging.getLogger(__name__)


class DeliveryError(Exception):
    """A request that is refused as a whole. `kind` is a slug, `status` the HTTP status of the response."""

    def __init__(self, kind: str, reason: str, status: int, host: Host | None = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.status = status
        self.host = host


@dataclass(frozen=True, slots=True)
class Result:
    """What happened to one snapshot of a delivery. Whatever the outcome, sending it again is useless."""

    id: str
    outcome: str
    reason: str = ""


def add_host(name: str, *, now: datetime, feed: str = Host.Feed.AGENT) -> tuple[Host, str]:
    """The host of that name, created if necessary, and a new token for it, which is not stored.

    Raises `ValidationError` for a name that no host can have.
    """
    host = Host(name=name, feed=feed)
    host.clean_fields()
    with transaction.atomic():
        host, created = Host.objects.get_or_create(name=name, defaults={"feed": feed})
        if not created and host.feed != feed:
            host.feed = feed
            host.save(update_fields=["feed"])
        if created:
            note_added(host, now)
        identifier, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        HostToken.objects.create(host=host, identifier=identifier, key=signing.key_of(secret))
    return host, f"{identifier}.{secret}"


def join_by_worker(name: str, *, now: datetime) -> Host:
    """The host of that name, added if it is new, for a process on it that has access to the database.

    Raises `ValidationError` for a name that no host can have.
    """
    Host(name=name).clean_fields()
    with transaction.atomic():
        host, created = Host.objects.get_or_create(name=name)
        if created:
            note_added(host, now)
    return host


def note_added(host: Host, now: datetime) -> None:
    """Record that a host has joined the fleet."""
    Event.objects.create(kind=Event.Kind.HOST_ADDED, at=now, host=host, text=f"Host {host.name} added.")


def revoke_tokens(host: Host, *, now: datetime) -> int:
    """Revoke every token of the host; returns how many were still valid."""
    return host.tokens.filter(revoked_at__isnull=True).update(revoked_at=now)


def host_of_token(token: str) -> Host:
    """The host that a token belongs to. Raises `DeliveryError` for an unknown or revoked one."""
    identifier, _, secret = token.partition(".")
    found = _token(identifier)
    if not secrets.compare_digest(found.key, signing.key_of(secret)):
        raise DeliveryError("token", "The token is not valid.", 401, found.host)
    return found.host


def receive(
    *, method: str, path: str, headers: signing.Signed, body: bytes, sender: str, now: datetime
) -> list[Result]:
    """Check a delivery and record its snapshots.

    Raises `DeliveryError`; every refusal is logged and stored.
    """
    try:
        host = _authentic(method, path, headers, body, now)
        deliveries = _parsed(body, host)
    except DeliveryError as refusal:
        _refuse(refusal.host, refusal.kind, refusal.reason, sender, now)
        raise
    return _record(host, deliveries, headers, sender, now)


def _token(identifier: str) -> HostToken:
    found = HostToken.objects.select_related("host").filter(identifier=identifier[:32]).first()
    if found is None:
        raise DeliveryError("token", "The token is not known.", 401)
    if found.revoked_at is not None:
        raise DeliveryError("token", "The token has been revoked.", 401, found.host)
    return found


def _authentic(method: str, path: str, headers: signing.Signed, body: bytes, now: datetime) -> Host:
    token = _token(headers.identifier)
    if not signing.verify(token.key, method=method, path=path, signed=headers, body=body):
        raise DeliveryError("signature", "The signature does not match the request.", 401, token.host)
    off_s = abs(now.timestamp() - headers.time_s)
    if off_s > policy.CLOCK_TOLERANCE_S:
        reason = f"The request was signed {off_s:.0f} s away from this server's time."
        raise DeliveryError("clock", reason, 409, token.host)
    try:
        with transaction.atomic():
            Nonce.objects.create(value=f"{token.identifier}:{headers.nonce}"[:64], seen_at=now)
    except IntegrityError:
        raise DeliveryError("replayed", "This request was received before.", 409, token.host) from None
    HostToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token.host


def _parsed(body: bytes, host: Host) -> list[Any]:
    if len(body) > policy.MAX_BODY_BYTES:
        limit = f"{policy.MAX_BODY_BYTES // 2**20} MiB"
        raise DeliveryError("too_large", f"{len(body)} bytes; at most {limit} are accepted.", 413, host)
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise DeliveryError("malformed", "The body is not JSON.", 400, host) from None
    deliveries = parsed.get("snapshots") if isinstance(parsed, dict) else None
    if not isinstance(deliveries, list):
        raise DeliveryError("malformed", 'The body must be {"snapshots": [...]}.', 400, host)
    if len(deliveries) > policy.MAX_SNAPSHOTS_A_REQUEST:
        most = policy.MAX_SNAPSHOTS_A_REQUEST
        raise DeliveryError(
            "too_large", f"{len(deliveries)} snapshots; at most {most} per request.", 413, host
        )
    return deliveries


def _record(
    host: Host, deliveries: list[Any], headers: signing.Signed, sender: str, now: datetime
) -> list[Result]:
    good: list[Taken] = []
    results: dict[int, Result] = {}
    positions: list[int] = []
    for position, delivery in enumerate(deliveries):
        identifier = delivery.get("id") if isinstance(delivery, dict) else None
        try:
            good.append(_taken(host, delivery, headers, now))
            positions.append(position)
        except DeliveryError as refusal:
            _refuse(host, refusal.kind, refusal.reason, sender, now)
            results[position] = Result(str(identifier)[:64], "refused", refusal.reason)
    for position, taken, outcome in zip(positions, good, record_snapshots(good, now=now), strict=True):
        results[position] = Result(str(taken.id), _told(outcome))
    return [results[position] for position in range(len(deliveries))]


def _told(outcome: Outcome) -> str:
    return "duplicate" if outcome is Outcome.DUPLICATE else "recorded"


def _taken(host: Host, delivery: Any, headers: signing.Signed, now: datetime) -> Taken:
    """One snapshot, with its time put on this server's clock."""
    if not isinstance(delivery, dict):
        raise DeliveryError("malformed", "A delivery is an object with id and snapshot.", 400)
    try:
        identifier = UUID(str(delivery.get("id")))
    except ValueError:
        raise DeliveryError("malformed", "id must be a UUID.", 400) from None
    try:
        snapshot = from_json(delivery.get("snapshot"))
        packed = pack_json(delivery["snapshot"])
    except SnapshotError as error:
        raise DeliveryError("malformed", str(error), 400) from None
    except RecursionError:
        raise DeliveryError("malformed", "The snapshot is nested too deeply.", 400) from None
    if snapshot.host.hostname != host.name:
        reason = f"The token is for {host.name}, not for {snapshot.host.hostname}."
        raise DeliveryError("other_host", reason, 403)
    try:
        seen = read_moment(snapshot.host.taken_at)
    except ValueError as wrong:
        raise DeliveryError(
            "malformed", f"host.taken_at must be a time with its zone: {wrong}.", 400
        ) from None
    taken_at = _on_our_clock(seen, delivery.get("age_s"), headers)
    signed_at = headers.time_s + policy.FUTURE_TOLERANCE_S
    if taken_at.timestamp() > signed_at:
        raise DeliveryError("future", f"Taken at {seen.isoformat()}, after it was sent.", 400)
    if taken_at < now - timedelta(seconds=policy.OLDEST_SNAPSHOT_S):
        raise DeliveryError("too_old", f"Taken at {seen.isoformat()}, too long ago to be accepted.", 400)
    return Taken(identifier, host.pk, snapshot, min(taken_at, now), "agent", packed=packed)


def _on_our_clock(seen: datetime, age_s: Any, headers: signing.Signed) -> datetime:
    """When a snapshot was taken, by this server's clock.

    From its age when it was sent, where the sender knows it, since that does not depend on how the sender's
    clock has been set meanwhile. Otherwise from the sender's clock and its offset at the time of sending.
    """
    if age_s is None:
        try:
            return seen + timedelta(seconds=headers.offset_s)
        except OverflowError:
            raise DeliveryError(
                "clock", "The sender's clock is further off than a date can say.", 409
            ) from None
    if isinstance(age_s, bool) or not isinstance(age_s, (int, float)) or not 0 <= age_s < 1e9:
        raise DeliveryError("malformed", "age_s must be the seconds since the snapshot was taken.", 400)
    try:
        return datetime.fromtimestamp(headers.time_s - age_s, UTC)
    except (OverflowError, OSError, ValueError):
        raise DeliveryError("malformed", "age_s is before any date.", 400) from None


def note_refusal(kind: str, reason: str, sender: str, *, now: datetime | None = None) -> None:
    """Store a refusal that happened before the host was known."""
    _refuse(None, kind, reason, sender, now or timezone.now())


def _refuse(host: Host | None, kind: str, reason: str, sender: str, now: datetime) -> None:
    log.warning("refused a delivery from %s (%s): %s", host.name if host else sender, kind, reason)
    if Refusal.objects.filter(at__gt=now - timedelta(hours=1)).count() >= policy.MOST_REFUSALS_AN_HOUR:
        return
    Refusal.objects.create(at=now, host=host, kind=kind, reason=reason[:600], sender=sender[:64])
