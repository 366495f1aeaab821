"""The fleet app's entry in Django's registry."""

from django.apps import AppConfig


class InventoryConfig(AppConfig):
    """Hosts, GPUs and their history."""

    name = "inventory"
    verbose_name = "Fleet"
