"""Addresses of the planner pages."""

from django.urls import URLPattern, URLResolver, include, path

from planner.accuracy import page as accuracy
from planner.api import pages
from planner.mig import page as mig
from planner.plans import page as plans
from planner.plans.compare import page as compare
from planner.web import glossary

app_name = "planner"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", plans.plan, name="plan"),
    path("summary", plans.summary, name="summary"),
    path("why", plans.why, name="why"),
    path("assumed", plans.assumed, name="assumed"),
    path("plan.csv", plans.plan_csv, name="plan_csv"),
    path("plan.json", plans.plan_json, name="plan_json"),
    path("what-if", plans.what_if, name="what_if"),
    path("compare", compare.compare, name="compare"),
    path("compare.csv", compare.compare_csv, name="compare_csv"),
    path("mig", mig.mig, name="mig"),
    path("mig.json", mig.mig_answer, name="mig_answer"),
    path("mig/fit", mig.fit, name="mig_fit"),
    path("validation", accuracy.validation, name="validation"),
    path("validation.csv", accuracy.validation_csv, name="validation_csv"),
    path("glossary", glossary.glossary, name="glossary"),
    path("tokens", pages.tokens, name="tokens"),
    path("api/v1/", include("planner.api.urls")),
]
