"""What was done here, by whom, from where."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class AuditEntry(models.Model):
    """One login, refusal or write. Never changed; deleted by age alone (``audit.forget``)."""

    class Kind(models.TextChoices):
        """What kind of thing happened."""

        LOGIN = "login", "logged in"
        LOGOUT = "logout", "logged out"
        FAILED = "login_failed", "login failed"
        LOCKED = "locked_out", "login refused for a while"
        WRITE = "write", "wrote"
        DENIED = "denied", "was not allowed"
        CHANGE = "change", "changed in the admin"

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=20, choices=Kind)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    name = models.CharField(max_length=150, blank=True, help_text="As it was then, whosever it is now.")
    address = models.CharField(max_length=64, blank=True, help_text="Where it came from.")
    what = models.CharField(max_length=300, help_text="Method and path, or the object.")
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Of the answer.")
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-at", "-pk")
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return (
            f"{self.at:%Y-%m-%d %H:%M:%S} {self.name or self.address} {self.get_kind_display()}: {self.what}"
        )
