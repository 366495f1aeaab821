"""Telling people that prices moved or that a source fails, by e-mail or webhook (Apprise addresses)."""

from __future__ import annotations

import logging

from django.conf import settings

from planner.catalog.changes.models import RefreshRun
from planner.catalog.changes.selectors import moved_prices

log = logging.getLogger(__name__)
MOST_NAMED = 10


def message_of(run: RefreshRun, most_percent: float) -> tuple[str, str] | None:
    """(title, text) of what is worth telling of a refresh; None where nothing is."""
    moved = moved_prices(run, most_percent)
    failed = run.state in (RefreshRun.State.FAILED, RefreshRun.State.PARTIAL)
    if not moved and not failed:
        return None
    lines = [
        f"{change.row}: {change.before:g} → {change.after:g} USD an hour ({change.percent:+.1f} %, "
        f"{change.get_state_display()}{', ' + '; '.join(change.flags) if change.flags else ''})"
        for change in moved[:MOST_NAMED]
    ]
    if len(moved) > MOST_NAMED:
        lines.append(f"and {len(moved) - MOST_NAMED} more")
    if failed:
        lines.append(run.message)
    title = f"Headroom: {run.source} {'failed' if run.state == RefreshRun.State.FAILED else 'refreshed'}"
    if moved:
        title += f", {len(moved)} {'price' if len(moved) == 1 else 'prices'} moved"
    return title, "\n".join(lines)


def tell(run: RefreshRun) -> bool:
    """Send the message to CATALOG_ALERT_URLS; True where all were reached.  A refresh never fails by it."""
    if not settings.CATALOG_ALERT_URLS:
        return False
    message = message_of(run, settings.CATALOG_ALERT_PERCENT)
    if message is None:
        return False
    import apprise  # loaded where it is used: it brings a hundred services along

    target = apprise.Apprise()
    for address in settings.CATALOG_ALERT_URLS:
        if not target.add(address):
            log.error("An address of CATALOG_ALERT_URLS is not understood.")
    sent = bool(target.notify(title=message[0], body=message[1]))
    if not sent:
        log.error("The alert about %s could not be delivered everywhere.", run.source)
    return sent
