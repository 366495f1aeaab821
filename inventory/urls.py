"""Addresses of the inventory pages and of its interface for programs."""

from django.urls import URLPattern, URLResolver, path

from inventory import api

app_name = "inventory"
urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/snapshots", api.snapshots, name="snapshots"),
]
