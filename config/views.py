"""Is the process alive, and can it work?  Asked by supervisors, load balancers and tests."""

from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseRedirect, JsonResponse
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.celery import app

BROKER_DEADLINE_S = 2


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
    checks = {"database": _state(_check_database), "broker": _state(_check_broker)}
    ready = all(state == "ok" for state in checks.values())
    return JsonResponse({"status": "ok" if ready else "unavailable", **checks}, status=200 if ready else 503)


def _state(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as failure:  # whatever a driver raises, the answer is the same: not ready
        return f"unavailable: {type(failure).__name__}"


def _check_database() -> str:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(pending)} migrations to apply" if pending else "ok"


def _check_broker() -> str:
    with app.connection_for_read(connect_timeout=BROKER_DEADLINE_S) as broker:
        broker.ensure_connection(max_retries=1, timeout=BROKER_DEADLINE_S)
    return "ok"
