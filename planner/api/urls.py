"""Addresses of the JSON API, under /api/v1/."""

from django.urls import URLPattern, URLResolver, path

from planner.api import pages, scenarios, v1

app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("estimate", v1.estimate, name="estimate"),
    path("search", v1.search, name="search"),
    path("search/<slug:key>", v1.search_job, name="search_job"),
    path("search/<slug:key>/cancel", v1.cancel_search, name="cancel_search"),
    path("mig", v1.mig, name="mig"),
    path("models", v1.models, name="models"),
    path("instances", v1.instances, name="instances"),
    path("accelerators", v1.accelerators, name="accelerators"),
    path("scenarios", scenarios.scenarios, name="scenarios"),
    path("scenarios/<str:key>", scenarios.scenario, name="scenario"),
    path("scenarios/<str:key>/changes", scenarios.since, name="scenario_changes"),
    path("schema", v1.schema, name="schema"),
    path("openapi.json", v1.openapi, name="openapi"),
    path("docs", pages.documentation, name="docs"),
    path("<path:rest>", v1.unknown, name="unknown"),
]
