"""Addresses of the JSON API, under /api/v1/."""

from django.urls import URLPattern, URLResolver, path

from planner import api

app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("estimate", api.estimate, name="estimate"),
    path("search", api.search, name="search"),
    path("models", api.models, name="models"),
    path("instances", api.instances, name="instances"),
    path("accelerators", api.accelerators, name="accelerators"),
    path("<path:rest>", api.unknown, name="unknown"),
]
