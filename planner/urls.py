"""Addresses of the planner pages."""

from django.urls import URLPattern, URLResolver, include, path

from planner import views

app_name = "planner"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.plan, name="plan"),
    path("plan.csv", views.plan_csv, name="plan_csv"),
    path("plan.json", views.plan_json, name="plan_json"),
    path("compare", views.compare, name="compare"),
    path("compare.csv", views.compare_csv, name="compare_csv"),
    path("validation", views.validation, name="validation"),
    path("validation.csv", views.validation_csv, name="validation_csv"),
    path("glossary", views.glossary, name="glossary"),
    path("api/v1/", include("planner.api_urls")),
]
