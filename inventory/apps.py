"""The fleet app's entry in Django's registry."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class InventoryConfig(AppConfig):
    """Hosts, GPUs and their history."""

    name = "inventory"
    verbose_name = "Fleet"

    def ready(self) -> None:
        """The rows of the schedule come with the tables of django-celery-beat, whichever migrates last."""
        from django.apps import apps

        from inventory.store.services.schedule import ensure_periodic_tasks

        post_migrate.connect(ensure_periodic_tasks, sender=apps.get_app_config("django_celery_beat"))
