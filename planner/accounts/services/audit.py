"""Writing the audit log: every login and its failures, every write, every refusal of a right."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import DatabaseError
from django.db.models.signals import post_save
from django.http import HttpRequest
from django.utils import timezone

from planner.accounts.models import AuditEntry

log = logging.getLogger("headroom.audit")
KEEP = timedelta(days=400)
#: Entries of strangers kept within an hour; further ones are only logged, so that none can fill the disk.
MOST_OF_STRANGERS = 1000


def note(
    kind: AuditEntry.Kind,
    what: str,
    *,
    request: HttpRequest | None = None,
    user: Any = None,
    name: str = "",
    status: int | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one entry, to the database and to the program's log.

    A database that takes none is no reason to fail what was asked: the log has it.
    """
    known = user if user is not None and user.is_authenticated else None
    name = (known.get_username() if known else name)[:150]
    address = request.META.get("REMOTE_ADDR", "")[:64] if request is not None else ""
    log.info(
        "%s: %s",
        kind.value,
        what,
        extra={"user": name, "address": address, "status": status, **(detail or {})},
    )
    now = timezone.now()
    try:
        if known is None and _flooded(now):
            return
        AuditEntry.objects.create(
            at=now,
            kind=kind,
            user=known,
            name=name.replace("\x00", ""),
            address=address,
            what=what.replace("\x00", "")[:300],
            status=status,
            detail=detail or {},
        )
    except DatabaseError:
        log.exception("an audit entry could not be written: %s %s by %s", kind.value, what, name or address)


def _flooded(now: Any) -> bool:
    lately = AuditEntry.objects.filter(user__isnull=True, at__gt=now - timedelta(hours=1))
    return lately.count() >= MOST_OF_STRANGERS


def forget(now: Any) -> int:
    """Delete what is older than it is kept; returns how many entries."""
    return AuditEntry.objects.filter(at__lt=now - KEEP).delete()[0]


def connect() -> None:
    """Listen to what Django and axes tell of."""
    from axes.signals import user_locked_out

    user_logged_in.connect(_logged_in, dispatch_uid="audit")
    user_logged_out.connect(_logged_out, dispatch_uid="audit")
    user_login_failed.connect(_failed, dispatch_uid="audit")
    user_locked_out.connect(_locked, dispatch_uid="audit")
    post_save.connect(_changed, sender=LogEntry, dispatch_uid="audit")


def _logged_in(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    forget(timezone.now())
    note(AuditEntry.Kind.LOGIN, "session", request=request, user=user)


def _logged_out(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    if user is not None:
        note(AuditEntry.Kind.LOGOUT, "session", request=request, user=user)


def _failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    note(AuditEntry.Kind.FAILED, "session", request=request, name=str(credentials.get("username", "") or ""))


def _locked(sender: Any, request: HttpRequest, username: str, **_: Any) -> None:
    note(AuditEntry.Kind.LOCKED, "session", request=request, name=str(username or ""))


def _changed(sender: Any, instance: LogEntry, created: bool, **_: Any) -> None:
    """What the admin notes of an object: which fields."""
    if created:
        # Lazy translations (as those of import-export) are words only once they are asked for.
        detail = {"fields": str(instance.change_message), "action": str(instance.get_action_flag_display())}
        what = f"{instance.content_type}: {instance.object_repr}"
        note(AuditEntry.Kind.CHANGE, what, user=instance.user, detail=detail)
