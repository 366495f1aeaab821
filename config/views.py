"""Is the process alive, and can it work?  Asked by supervisors, load balancers and tests."""

import errno
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    connection,
)
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.defaults import server_error as broken
from kombu.exceptions import OperationalError

from config.celery import app
from config.children import read_state
from config.guard.answers import turned_away, wants_json
from config.prepare import database_trouble, file_trouble
from planner.engine.question.errors import PlanError

log = logging.getLogger("headroom.web")
BROKER_DEADLINE_S = 2
WRITTEN_TO_TEST_BYTES = 64 * 1024
#: Below this a day's readings of a fleet may no longer find room.
LEAST_FREE_BYTES = 64 * 2**20
#: For so long a process that was started again is told of.
RESTARTED_LATELY_S = 60
UNAVAILABLE, SERVER_ERROR = 503, 500
RETRY_S = 5


@login_not_required
@require_safe
def favicon(request: HttpRequest) -> HttpResponseRedirect:
    """Where browsers look for an icon on pages that name none, such as the admin's."""
    return HttpResponseRedirect(static("web/icon.svg"))


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The web process answers.  Touches neither database nor broker."""
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Everything a request may need answers; 503 and the name of what does not, otherwise."""
    checks = {
        "database": _state(_check_database),
        "broker": _state(_check_broker),
        "disk": _state(_check_disk),
    }
    ready = all(state == "ok" for state in checks.values())
    # A worker that is being started again keeps nobody from planning: it is told, and no more.
    behind = troubles()
    status = "unavailable" if not ready else "degraded" if behind else "ok"
    return JsonResponse({"status": status, **checks, **behind}, status=200 if ready else 503)


def troubles() -> dict[str, str]:
    """Supervised processes that do not run, or have just been started again, and why."""
    found = {}
    for name, child in read_state(settings.PROCESSES_FILE).items():
        # One that never ended is on its way up for the first time.
        if child["state"] != "running" and child["last_end"]:
            found[name] = f"restarting after {child['last_end']}"
        elif child["restarts"] and time.time() - child["since_s"] < RESTARTED_LATELY_S:
            found[name] = (
                f"started again {time.time() - child['since_s']:.0f} s ago after {child['last_end']}"
            )
    return found


def notices(request: HttpRequest) -> dict[str, Any]:
    """What every page may say: processes that are being started again, and another way to sign in."""
    oidc = reverse("oidc_authentication_init") if settings.OIDC else ""
    return {"oidc": oidc, "troubles": [f"{name}: {what}" for name, what in troubles().items()]}


def _state(check: Callable[[], str]) -> str:
    try:
        return check()
    except OSError as failure:
        return f"unavailable: {failure.strerror or type(failure).__name__}"
    except Exception as failure:  # whatever a driver raises, the answer is the same: not ready
        return f"unavailable: {type(failure).__name__}"


def _check_database() -> str:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(pending)} migrations to apply" if pending else "ok"


def _check_disk() -> str:
    """Whether the data folder takes what is written to it."""
    with tempfile.TemporaryFile(dir=settings.DATA) as file:
        file.write(b"\0" * WRITTEN_TO_TEST_BYTES)
        file.flush()
        os.fsync(file.fileno())
    free = shutil.disk_usage(settings.DATA).free
    return "ok" if free >= LEAST_FREE_BYTES else f"only {free / 2**20:.0f} MiB are free"


def _check_broker() -> str:
    with app.connection_for_read(connect_timeout=BROKER_DEADLINE_S) as broker:
        broker.ensure_connection(max_retries=1, timeout=BROKER_DEADLINE_S)
    return "ok"


def server_error(request: HttpRequest) -> HttpResponse:
    """What went wrong behind a view: 503 with Retry-After where that passes, else the page of our faults."""
    failure = sys.exc_info()[1]
    ours = isinstance(failure, ProgrammingError | IntegrityError | DataError | NotSupportedError)
    if isinstance(failure, DatabaseError) and not ours:
        message, log_it = database_words(failure), database_trouble(failure)
    elif isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        message, log_it = "The server's disk takes nothing more.", file_trouble(failure)
    elif isinstance(failure, OperationalError):
        message, log_it = "The workers cannot be reached.", f"the broker cannot be reached: {failure}"
    else:
        return fault(request)
    log.error("%s", log_it)  # with the file's name, which is nobody's business outside
    refused = PlanError("", None, message, "Nothing was saved; try again in a moment.")
    return turned_away(
        request, [refused], status=UNAVAILABLE, title="Not available for the moment", retry_after_s=RETRY_S
    )


def database_words(failure: DatabaseError) -> str:
    """What a reader is told of a database that failed."""
    said = str(failure).lower()
    if "locked" in said:
        return "The database is busy: something else is writing to it."
    if "full" in said:
        return "The server's disk is full."
    if "malformed" in said or "not a database" in said or "corrupt" in said:
        return "The database is damaged; whoever runs Headroom has to restore a backup."
    return "The database cannot be reached."


def fault(request: HttpRequest) -> HttpResponse:
    """An error of ours, in the form in which it is read."""
    if wants_json(request):
        refused = PlanError(
            "", None, "This could not be answered; the fault is ours.", "Report it with the request."
        )
        return turned_away(request, [refused], status=SERVER_ERROR, title="Something broke")
    return broken(request)
