"""The fleet for administrators: how hosts are probed, what was refused, who may deliver.

Rows that probes write can be viewed but not edited; the settings of hosts and groups can be edited.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from kombu.exceptions import OperationalError

from inventory.store import services, tasks
from inventory.store.models import (
    Event,
    Gpu,
    GpuPlacement,
    Host,
    HostGroup,
    HostToken,
    MigInstance,
    Probe,
    Refusal,
)
from planner.accounts.policy import Action
from planner.accounts.rights import may


class ReadOnly(admin.ModelAdmin[Any]):
    """Rows that only the program writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may add rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may change rows."""
        return False


@admin.register(HostGroup)
class HostGroupAdmin(admin.ModelAdmin[HostGroup]):
    """Groups with their probe interval."""

    list_display = ("name", "probe_interval_s", "probing_enabled")
    list_editable = ("probe_interval_s", "probing_enabled")


@admin.register(Host)
class HostAdmin(admin.ModelAdmin[Host]):
    """Hosts with their settings; readings are read-only."""

    list_display = (
        "name",
        "group",
        "feed",
        "probe_interval_s",
        "probing_enabled",
        "status",
        "last_good_probe_at",
    )
    list_editable = ("group", "probe_interval_s", "probing_enabled")
    list_filter = ("probing_enabled", "feed", "group", "status")
    list_select_related = ("group",)
    search_fields = ("name", "machine_id")
    fields = (
        "name", "group", "feed", "probe_interval_s", "probing_enabled", "instance_type", "region",
        "status", "reason", "driver_version", "cuda_version", "gpu_count", "machine_id",
        "last_probe_at", "last_good_probe_at", "next_probe_at", "failures",
    )  # fmt: skip
    readonly_fields = fields[7:]
    actions = ("probe_now", "make_token", "revoke_tokens")

    def has_probe_permission(self, request: HttpRequest) -> bool:
        """Whether the table of roles lets this person ask for probes."""
        return may(request.user, Action.PROBE)

    def has_token_permission(self, request: HttpRequest) -> bool:
        """Whether the table of roles lets this person make and revoke tokens."""
        return may(request.user, Action.HOST_TOKENS)

    @admin.action(description="Probe now", permissions=["probe"])
    def probe_now(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Ask the chosen hosts for a probe now."""
        for host in queryset.select_related("group"):
            probe = services.probe_now(host, now=timezone.now())
            if probe is None:
                self.message_user(request, f"{host.name} is being probed already.", messages.WARNING)
            else:
                self._send(request, host, probe)

    def _send(self, request: HttpRequest, host: Host, probe: Probe) -> None:
        try:
            tasks.send(probe.pk, host.queue, host.interval_s)
        except OperationalError as error:
            self.message_user(request, f"The broker cannot be reached: {error}", messages.ERROR)
        else:
            self.message_user(request, f"Asked {host.name} for a probe.")

    @admin.action(description="Make a token for the host agent (shown once)", permissions=["token"])
    def make_token(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Make a token for each chosen host, and show it once."""
        for host in queryset:
            _, token = services.add_host(host.name, now=timezone.now(), feed=host.feed)
            self.message_user(request, f"Token of {host.name}, kept nowhere: {token}", messages.SUCCESS)

    @admin.action(description="Revoke all tokens", permissions=["token"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[Host]) -> None:
        """Revoke every token of the chosen hosts."""
        count = sum(services.revoke_tokens(host, now=timezone.now()) for host in queryset)
        self.message_user(request, f"Revoked {count} tokens.")


@admin.register(HostToken)
class HostTokenAdmin(ReadOnly):
    """Tokens, without their keys."""

    list_display = ("identifier", "host", "created_at", "last_used_at", "revoked_at")
    list_select_related = ("host",)
    exclude = ("key",)


@admin.register(Gpu)
class GpuAdmin(ReadOnly):
    """GPUs as last seen."""

    list_display = ("uuid", "name", "host", "index", "state", "faults", "last_seen_at")
    list_filter = ("state", "kind", "name")
    list_select_related = ("host",)
    search_fields = ("uuid", "serial", "host__name")


@admin.register(GpuPlacement)
class GpuPlacementAdmin(ReadOnly):
    """Which GPU was in which host, and when."""

    list_display = ("gpu", "host", "index", "since", "until")
    list_select_related = ("gpu", "host")


@admin.register(MigInstance)
class MigInstanceAdmin(ReadOnly):
    """MIG instances, present and past."""

    list_display = ("gpu", "profile", "start", "size", "since", "until")
    list_select_related = ("gpu",)


@admin.register(Probe)
class ProbeAdmin(ReadOnly):
    """Probes and how they ended."""

    list_display = ("host", "state", "status", "source", "requested_at", "ended_at", "reason")
    list_filter = ("state", "status", "source")
    list_select_related = ("host",)


@admin.register(Event)
class EventAdmin(ReadOnly):
    """What changed."""

    list_display = ("at", "kind", "text")
    list_filter = ("kind",)


@admin.register(Refusal)
class RefusalAdmin(ReadOnly):
    """Deliveries that were refused."""

    list_display = ("at", "host", "kind", "reason", "sender")
    list_filter = ("kind",)
    list_select_related = ("host",)
