"""The room's entry in Django's registry."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Tokens of programs, and answers kept so that a repeated write is done once."""

    name = "planner.api"
    label = "api"
    verbose_name = "Programs"
    default_auto_field = "django.db.models.BigAutoField"
