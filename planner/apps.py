"""The planning app's entry in Django's registry."""

from django.apps import AppConfig


class PlannerConfig(AppConfig):
    """Catalog, plans and the pages that show them."""

    name = "planner"
    verbose_name = "Catalog"

    def ready(self) -> None:
        from planner.accuracy import checks as _calibration  # noqa: F401 - registers system checks
        from planner.accuracy import on_catalog
        from planner.catalog import checks as _catalog  # noqa: F401
        from planner.catalog.audit import keep_log
        from planner.catalog.changes.effects import register
        from planner.catalog.pages.evidence import register as register_evidence
        from planner.plans.price_effects import preset_effects
        from planner.tradeoffs.scenarios.effects_selectors import scenario_effects

        keep_log()
        register_evidence(on_catalog.of_chip, on_catalog.of_model)
        register("saved scenarios", scenario_effects)
        register("presets' plans", preset_effects)
