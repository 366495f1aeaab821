"""The admin site: the catalog first, people and schedules after it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest

ORDER = ("planner", "inventory", "auth")
"""Apps in the order in which people look for them; the rest follows by name."""


class HeadroomAdminSite(admin.AdminSite):
    """Django's own, in another order and without the list of all tables beside every table."""

    site_header = site_title = "Headroom"
    index_title = "Catalog, fleet and people"
    # Tables of facts are wide; the way back is above each of them.
    enable_nav_sidebar = False

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        apps: list[dict[str, Any]] = super().get_app_list(request, app_label)
        place = {label: index for index, label in enumerate(ORDER)}
        return sorted(apps, key=lambda app: place.get(app["app_label"], len(ORDER)))


class HeadroomAdminConfig(AdminConfig):
    default_site = "config.admin.HeadroomAdminSite"
