"""Before a view is called: may this person do it?  Afterwards: what was written is noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse

from config.guard.answers import turned_away, wants_json
from planner.accounts.models import AuditEntry
from planner.accounts.policy import Action
from planner.accounts.rights import SAFE, actions_of, needed
from planner.accounts.services import audit
from planner.engine.question.errors import PlanError

UNAUTHORIZED, FORBIDDEN, TOO_MANY = 401, 403, 429
#: Names in a form that say what is done, and to what; values of other names may be secrets.
TELLING = ("action", "_selected_action", "post", "_save", "_continue", "_addanother")


class Rights:
    """Asks the table of roles for every view, and notes every write and every refusal."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and note what was written."""
        answer = self.get_response(request)
        if getattr(request, "is_write", False):
            self._note(request, answer)
        return answer

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Turn away who may not."""
        action = needed(view, request)
        if request.method not in SAFE:
            # Questions change nothing; deliveries of agents have a log of their own.
            request.is_write = action not in (Action.READ, Action.ASK) and not _own_log(view)  # type: ignore[attr-defined]
        if action is None or action in actions_of(request.user):
            return None
        if not request.user.is_authenticated:
            if wants_json(request):
                wrong = PlanError(
                    "", None, "This address needs a login.", "Send a token, or log in and send the cookie."
                )
                answer = turned_away(request, [wrong], status=UNAUTHORIZED, title="Log in first")
                answer["WWW-Authenticate"] = 'Bearer realm="headroom"'
                return answer
            return redirect_to_login(request.get_full_path(), str(settings.LOGIN_URL))
        wrong = PlanError("", None, f"You may not {action.value}.", "Ask an admin for the role that may.")
        return turned_away(request, [wrong], status=FORBIDDEN, title="Not allowed")

    def _note(self, request: HttpRequest, answer: HttpResponse) -> None:
        denied = answer.status_code in (UNAUTHORIZED, FORBIDDEN)
        if not request.user.is_authenticated and not denied:
            return  # a stranger's form was not taken: nothing was written
        detail = {name: request.POST.getlist(name)[:50] for name in TELLING if name in request.POST}
        audit.note(
            AuditEntry.Kind.DENIED if denied else AuditEntry.Kind.WRITE,
            f"{request.method} {request.path}",
            request=request,
            user=request.user,
            status=answer.status_code,
            detail=detail,
        )


def _own_log(view: Callable[..., Any]) -> bool:
    of_session = getattr(getattr(view, "view_class", None), "__name__", "") in ("LoginView", "LogoutView")
    return of_session or getattr(view, "own_log", False)


def locked_out(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """What is said once too many passwords were wrong."""
    wait_s = int(settings.AXES_COOLOFF_TIME.total_seconds())
    wrong = PlanError(
        "",
        None,
        f"Too many wrong passwords for this name: none is looked at for {wait_s // 60} minutes.",
        "Wait, or have an admin set a new one.",
    )
    return turned_away(request, [wrong], status=TOO_MANY, title="Log-in refused", retry_after_s=wait_s)
