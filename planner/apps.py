"""The planning app's entry in Django's registry."""

from django.apps import AppConfig


class PlannerConfig(AppConfig):
    """Catalog, plans and the pages that show them."""

    name = "planner"
    verbose_name = "Catalog"

    def ready(self) -> None:
        from planner import checks  # noqa: F401 - registers the system checks
