"""The fleet app's entry in Django's registry."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class InventoryConfig(AppConfig):
    """Hosts, GPUs and their history."""

    name = "inventory"
    verbose_name = "Fleet"

    def ready(self) -> None:
        """The rows of the schedule come with the tables of django-celery-beat, whichever migrates last."""
        from django.apps import apps

        post_migrate.connect(_schedule, sender=apps.get_app_config("django_celery_beat"))


def _schedule(**signal: Any) -> None:
    # The services read reports from hosts; a command that does not migrate starts sooner without them.
    from inventory.store.services.schedule import ensure_periodic_tasks

    ensure_periodic_tasks(**signal)
