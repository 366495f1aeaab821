"""Addresses of the planner pages."""

from django.urls import URLPattern, URLResolver, include, path

from planner.accuracy import page as accuracy
from planner.api import pages
from planner.mig import page as mig
from planner.plans import page as plans
from planner.plans import parts
from planner.plans.compare import page as compare
from planner.tradeoffs import page as tradeoffs
from planner.tradeoffs.report import page as report
from planner.tradeoffs.scenarios import page as saved
from planner.web import glossary

app_name = "planner"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", plans.plan, name="plan"),
    path("summary", plans.summary, name="summary"),
    path("why", plans.why, name="why"),
    path("assumed", plans.assumed, name="assumed"),
    path("beside", parts.beside, name="beside"),
    path("fields/<str:name>", parts.fields, name="fields"),
    path("options/<str:name>", parts.options, name="options"),
    path("plan.csv", plans.plan_csv, name="plan_csv"),
    path("plan.json", plans.plan_json, name="plan_json"),
    path("what-if", plans.what_if, name="what_if"),
    path("compare", compare.compare, name="compare"),
    path("compare.csv", compare.compare_csv, name="compare_csv"),
    path("compare/fits", compare.compare_fits, name="compare_fits"),
    path("tradeoffs", tradeoffs.tradeoffs, name="tradeoffs"),
    path("tradeoffs/around", tradeoffs.around, name="tradeoffs_around"),
    path("tradeoffs/chart.csv", tradeoffs.chart_csv, name="tradeoffs_csv"),
    path("tradeoffs/cancel", tradeoffs.cancel, name="tradeoffs_cancel"),
    path("tradeoffs/resume", tradeoffs.resume, name="tradeoffs_resume"),
    path("scenarios", saved.scenarios, name="scenarios"),
    path("scenarios/new", saved.new, name="scenario_new"),
    path("scenarios/shared/<str:token>", saved.shared, name="scenario_shared"),
    path("scenarios/<str:key>.json", saved.scenario_json, name="scenario_json"),
    path("scenarios/<str:key>", saved.scenario, name="scenario"),
    path("scenarios/<str:key>/delete", saved.delete, name="scenario_delete"),
    path("scenarios/<str:key>/as-of", saved.as_of, name="scenario_as_of"),
    path("scenarios/<str:key>/restore", saved.restore, name="scenario_restore"),
    path("scenarios/<str:key>/share", saved.share, name="scenario_share"),
    path("scenarios/<str:key>/revoke", saved.revoke, name="scenario_revoke"),
    path("report", report.page, name="report"),
    path("report.<str:kind>", report.file, name="report_file"),
    path("mig", mig.mig, name="mig"),
    path("mig.json", mig.mig_answer, name="mig_answer"),
    path("mig.csv", mig.mig_csv, name="mig_csv"),
    path("mig/files/<str:name>", mig.mig_file, name="mig_file"),
    path("mig/fit", mig.fit, name="mig_fit"),
    path("validation", accuracy.validation, name="validation"),
    path("validation.csv", accuracy.validation_csv, name="validation_csv"),
    path("catalog/", include("planner.catalog.pages.urls")),
    path("glossary", glossary.glossary, name="glossary"),
    path("tokens", pages.tokens, name="tokens"),
    path("api/v1/", include("planner.api.urls")),
]
