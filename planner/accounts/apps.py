"""The room's entry in Django's registry."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Roles and the audit log."""

    name = "planner.accounts"
    label = "accounts"
    verbose_name = "People"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect what listens; the groups are written once all apps have their permissions."""
        from planner.accounts.services import audit
        from planner.accounts.services.groups import write_groups

        audit.connect()
        post_migrate.connect(write_groups, dispatch_uid="roles")
