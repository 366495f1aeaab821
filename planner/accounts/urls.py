"""Addresses of one's own account: passwords, and sign-in at an identity provider where there is one."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import views
from django.contrib.auth.decorators import login_not_required
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path

FORM, SAID = "registration/password.html", "registration/password_said.html"


def open_to_all(view: Any, **options: object) -> Callable[..., HttpResponseBase]:
    """A page for those who cannot log in."""
    found: Callable[..., HttpResponseBase] = login_not_required(view.as_view(**options))
    return found


urlpatterns: list[URLPattern | URLResolver] = [
    path("password/", views.PasswordChangeView.as_view(template_name=FORM), name="password_change"),
    path(
        "password/changed/",
        views.PasswordChangeDoneView.as_view(
            template_name=SAID, extra_context={"said": "Your password is changed."}
        ),
        name="password_change_done",
    ),
    path(
        "password/forgotten/",
        open_to_all(
            views.PasswordResetView,
            template_name=FORM,
            email_template_name="registration/password_letter.txt",
            subject_template_name="registration/password_letter_subject.txt",
        ),
        name="password_reset",
    ),
    path(
        "password/sent/",
        open_to_all(
            views.PasswordResetDoneView,
            template_name=SAID,
            extra_context={"said": "If somebody here has this address, a letter with a link is on its way."},
        ),
        name="password_reset_done",
    ),
    path(
        "password/new/<uidb64>/<token>/",
        open_to_all(views.PasswordResetConfirmView, template_name=FORM),
        name="password_reset_confirm",
    ),
    path(
        "password/set/",
        open_to_all(
            views.PasswordResetCompleteView,
            template_name=SAID,
            extra_context={"said": "Your password is set. Log in with it."},
        ),
        name="password_reset_complete",
    ),
]
if settings.OIDC:
    urlpatterns.append(path("oidc/", include("mozilla_django_oidc.urls")))
