"""The admin site: the catalog first, people and schedules after it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.http import HttpRequest, HttpResponse

from planner.accounts.rights import may_enter_admin

ORDER = ("planner", "inventory", "accounts", "auth")
"""Apps in the order in which people look for them; the rest follows by name."""


class HeadroomAdminSite(admin.AdminSite):
    """Django's own, in another order and without the list of all tables beside every table."""

    site_header = site_title = "Headroom"
    index_title = "Catalog, fleet and people"
    # Tables of facts are wide; the way back is above each of them.
    enable_nav_sidebar = False

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Let anybody log in: who may enter is the table's to say; the admin's own form asks for staff."""
        from django.contrib.auth.forms import AuthenticationForm  # there is no registry of apps before

        self.login_form = AuthenticationForm
        return super().login(request, extra_context)

    def has_permission(self, request: HttpRequest) -> bool:
        """Whoever the table of roles lets in, and staff for what they may view."""
        return may_enter_admin(request.user)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        apps: list[dict[str, Any]] = super().get_app_list(request, app_label)
        place = {label: index for index, label in enumerate(ORDER)}
        return sorted(apps, key=lambda app: place.get(app["app_label"], len(ORDER)))


class HeadroomAdminConfig(SimpleAdminConfig):
    """Tables are registered by ``config.urls``: commands and workers, which show none, start sooner."""

    default_site = "config.admin.HeadroomAdminSite"
