"""What writes the tables of programs: tokens made, used and revoked; answers kept by their key."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from planner.api.models import ApiToken, KeptAnswer
from planner.engine.question.errors import PlanError, PlanErrors
from planner.web.programs import SCOPES

PREFIX = "hr_"
"""How tokens begin, so that scanners for leaked secrets can find them."""
RANDOM_BYTES = 32
MAX_DAYS = 366
MOST_TOKENS = 50
USED_EVERY = timedelta(minutes=5)
"""Uses within this time are noted once: a busy program must not write with every question."""
KEPT_FOR = timedelta(hours=24)
ABANDONED_AFTER = timedelta(minutes=10)


def make_token(
    owner: Any, *, name: str, scopes: Iterable[str], days: int, now: datetime
) -> tuple[ApiToken, str]:
    """A new token and its text, which is told this once.  days: until it expires, 1 to MAX_DAYS.

    Raises PlanErrors.
    """
    chosen, wrong = sorted(set(scopes)), []
    if not (name := name.strip()) or len(name) > 100 or not name.isprintable():
        message = "A token needs a name of 1 to 100 characters."
        wrong.append(PlanError("name", name[:60], message, "Name the program that will use it."))
    if not chosen or not set(chosen) <= set(SCOPES):
        message, known = "A token needs at least one of the scopes.", ", ".join(SCOPES)
        wrong.append(PlanError("scopes", [s[:20] for s in chosen[:9]], message, f"Choose of {known}."))
    if not 1 <= days <= MAX_DAYS:
        message = f"A token lasts 1 to {MAX_DAYS} days."
        wrong.append(PlanError("days", days, message, "Make a new one when it has expired."))
    live = ApiToken.objects.filter(owner=owner, revoked_at=None, expires_at__gt=now)
    if not wrong and live.count() >= MOST_TOKENS:
        message = f"You have {MOST_TOKENS} tokens already."
        wrong.append(PlanError("", None, message, "Revoke those that no program uses."))
    if wrong:
        raise PlanErrors(wrong)
    text = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    token = ApiToken.objects.create(
        owner=owner,
        name=name,
        start=text[:8],
        digest=digest_of(text),
        scopes=chosen,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    return token, text


def digest_of(text: str) -> str:
    """What is kept of a token. It has 256 random bits: a slow hash, made for words, adds nothing."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def use_token(text: str, *, now: datetime) -> ApiToken | None:
    """The token of this text, if it is in force; that it was used is noted."""
    token = ApiToken.objects.select_related("owner").filter(digest=digest_of(text)).first()
    if token is None or token.revoked_at or token.expires_at <= now or not token.owner.is_active:
        return None
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def revoke_token(owner: Any, token_id: int, *, now: datetime) -> bool:
    """Revoke one of the owner's tokens; False where there is none such."""
    return bool(ApiToken.objects.filter(owner=owner, pk=token_id, revoked_at=None).update(revoked_at=now))


def claim_key(owner: Any, key: str, question: str, *, now: datetime) -> KeptAnswer | None:
    """Keep a place for the answer to a write; the kept one where this key has been used, else None.

    question: digest of what is asked. What is older than KEPT_FOR, and what never ended, is forgotten.
    """
    KeptAnswer.objects.filter(created_at__lt=now - KEPT_FOR).delete()
    KeptAnswer.objects.filter(status=None, created_at__lt=now - ABANDONED_AFTER).delete()
    try:
        with transaction.atomic():
            KeptAnswer.objects.create(owner=owner, key=key, question=question, created_at=now)
    except IntegrityError:
        return KeptAnswer.objects.filter(owner=owner, key=key).first()
    return None


def keep_answer(owner: Any, key: str, *, status: int, body: str) -> None:
    """Keep the answer to the write of this key."""
    KeptAnswer.objects.filter(owner=owner, key=key).update(status=status, body=body)


def forget_key(owner: Any, key: str) -> None:
    """Forget a write that failed by our fault, so that it can be sent again."""
    KeptAnswer.objects.filter(owner=owner, key=key).delete()
