"""Tables of the fleet: what exists, where it was when, and how it was doing.

A GPU keeps its identity, its UUID, wherever it is plugged in; `GpuPlacement` says in which host it was, and
when. The rows of `Gpu` and `Host` hold the present; placements, MIG instances, samples and events hold the
past. Constraints let the database refuse invalid rows. No logic here: writing is in `services`, reading in
`selectors`.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from inventory.wire import policy

# Used in the names of queues and files: characters of a DNS name, and the underscore.
HOST_NAME = RegexValidator(
    r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z", "Letters, digits, dots, hyphens."
)


class HostGroup(models.Model):
    """Hosts that share probe settings."""

    name = models.CharField(max_length=100, unique=True)
    probe_interval_s = models.PositiveIntegerField(
        default=policy.DEFAULT_INTERVAL_S, validators=[MinValueValidator(policy.SHORTEST_INTERVAL_S)]
    )
    probing_enabled = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Host(models.Model):
    """A machine that one owns. `name` is its hostname, or the name it was added under."""

    class Feed(models.TextChoices):
        """Who sends the host's snapshots."""

        WORKER = "worker", "A Celery worker on the host"
        AGENT = "agent", "The host agent"

    name = models.CharField(max_length=253, unique=True, validators=[HOST_NAME])
    machine_id = models.CharField(max_length=64, blank=True)
    group = models.ForeignKey(
        HostGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="hosts"
    )
    feed = models.CharField(max_length=10, choices=Feed, default=Feed.WORKER)
    probe_interval_s = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(policy.SHORTEST_INTERVAL_S)],
        help_text="Seconds between probes; empty: the group's, or a minute.",
    )
    probing_enabled = models.BooleanField(default=True)
    instance_type = models.CharField(
        max_length=60, blank=True, help_text="The catalog's name, such as p4d.24xlarge; for prices and plans."
    )
    region = models.CharField(max_length=40, blank=True)

    driver_version = models.CharField(max_length=80, blank=True)
    cuda_version = models.CharField(max_length=20, blank=True)
    status = models.CharField(max_length=40, blank=True, help_text="Status of the last probe.")
    reason = models.CharField(max_length=512, blank=True)
    gpu_count = models.PositiveIntegerField(default=0)
    added_at = models.DateTimeField(auto_now_add=True)
    last_probe_at = models.DateTimeField(null=True, blank=True)
    last_good_probe_at = models.DateTimeField(null=True, blank=True)
    stale_at = models.DateTimeField(
        null=True,
        blank=True,
        db_index=True,
        help_text="When what is known counts as old; null: nothing is known yet.",
    )
    last_taken_at = models.DateTimeField(
        null=True, blank=True, help_text="When the newest snapshot was taken."
    )
    next_probe_at = models.DateTimeField(null=True, blank=True, db_index=True)
    failures = models.PositiveIntegerField(default=0, help_text="Failed probes since the last good one.")

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(name=""), name="host_has_a_name"),
            models.CheckConstraint(
                condition=Q(probe_interval_s__isnull=True)
                | Q(probe_interval_s__gte=policy.SHORTEST_INTERVAL_S),
                name="host_interval_not_too_short",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def interval_s(self) -> int:
        """Seconds between probes: the host's own, else the group's, else the default."""
        if self.probe_interval_s is not None:
            return self.probe_interval_s
        return self.group.probe_interval_s if self.group else policy.DEFAULT_INTERVAL_S

    @property
    def queue(self) -> str:
        """Name of the queue that only this host's worker reads."""
        return f"probe.{self.name}"


class HostLatest(models.Model):
    """The newest snapshot of a host, whole, as `snapshot_json` writes it.

    A table of its own, because lists of hosts do not need the snapshot and would load it with every row.
    """

    host = models.OneToOneField(Host, primary_key=True, on_delete=models.CASCADE, related_name="latest")
    packed = models.BinaryField(help_text="The snapshot's JSON, compressed: a tenth of the text.")

    def __str__(self) -> str:
        return f"latest snapshot of host {self.host_id}"


class Gpu(models.Model):
    """One accelerator and how it was when last seen. Null means unknown, never zero."""

    class State(models.TextChoices):
        """Whether the GPU is there, lost by its driver, or gone from every known host."""

        PRESENT = "present", "Present"
        LOST = "lost", "Lost by the driver"
        GONE = "gone", "No longer in a known host"

    uuid = models.CharField(max_length=128, unique=True)
    kind = models.CharField(max_length=10, default="nvidia")
    name = models.CharField(max_length=200, blank=True)
    serial = models.CharField(max_length=64, blank=True)
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.SET_NULL, related_name="gpus")
    index = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State, default=State.PRESENT)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    memory_total_bytes = models.BigIntegerField(null=True, blank=True)
    memory_used_bytes = models.BigIntegerField(null=True, blank=True)
    utilization_percent = models.PositiveSmallIntegerField(null=True, blank=True)
    temperature_c = models.SmallIntegerField(null=True, blank=True)
    power_w = models.FloatField(null=True, blank=True)
    mig_mode = models.BooleanField(null=True, blank=True)
    ecc_corrected = models.BigIntegerField(null=True, blank=True)
    ecc_uncorrected = models.BigIntegerField(null=True, blank=True)
    faults = models.CharField(max_length=200, blank=True, help_text="Slugs, separated by spaces.")
    throttled = models.CharField(
        max_length=200, blank=True, help_text="Alarming reasons, separated by spaces."
    )
    last_xid_at = models.CharField(max_length=32, blank=True)
    idle_since = models.DateTimeField(null=True, blank=True, db_index=True)
    idle_reported_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["host__name", "index"]
        verbose_name = "GPU"
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(uuid=""), name="gpu_has_an_identity"),
            models.CheckConstraint(
                condition=Q(memory_total_bytes__isnull=True) | Q(memory_total_bytes__gte=0),
                name="gpu_memory_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(utilization_percent__isnull=True) | Q(utilization_percent__lte=100),
                name="gpu_utilization_is_a_share",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["host", "index"], name="gpu_by_host")]

    def __str__(self) -> str:
        return f"{self.name or self.kind} {self.uuid}"


class GpuPlacement(models.Model):
    """GPU `gpu` was number `index` in host `host` from `since` until `until` (null: still is)."""

    gpu = models.ForeignKey(Gpu, on_delete=models.CASCADE, related_name="placements")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="placements")
    index = models.PositiveSmallIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "GPU placement"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["gpu"], condition=Q(until__isnull=True), name="gpu_in_one_place_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(until__isnull=True) | Q(until__gte=F("since")),
                name="placement_ends_after_it_began",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["host", "since"], name="placement_by_host")]

    def __str__(self) -> str:
        return f"{self.gpu_id} in {self.host_id} since {self.since:%Y-%m-%d}"


class MigInstance(models.Model):
    """A GPU instance (with at most one compute instance per row) that exists, or existed until `until`."""

    gpu = models.ForeignKey(Gpu, on_delete=models.CASCADE, related_name="mig_instances")
    uuid = models.CharField(max_length=128, blank=True)
    profile = models.CharField(max_length=40, blank=True)
    gpu_instance_id = models.PositiveIntegerField()
    compute_instance_id = models.PositiveIntegerField(null=True, blank=True)
    start = models.PositiveSmallIntegerField(null=True, blank=True)
    size = models.PositiveSmallIntegerField(null=True, blank=True)
    memory_total_bytes = models.BigIntegerField(null=True, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "MIG instance"
        constraints: ClassVar = [
            models.UniqueConstraint(
                "gpu",
                "gpu_instance_id",
                Coalesce("compute_instance_id", Value(-1)),
                condition=Q(until__isnull=True),
                name="mig_instance_exists_once",
            ),
            models.CheckConstraint(
                condition=Q(until__isnull=True) | Q(until__gte=F("since")),
                name="mig_instance_ends_after_it_began",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.profile or '?'} on {self.gpu_id}"


class Probe(models.Model):
    """One look at one host: requested, running or ended. `id` is also the snapshot's identity."""

    class State(models.TextChoices):
        """How far a probe has come."""

        REQUESTED = "requested", "Waiting for the host's worker"
        RUNNING = "running", "Under way"
        ENDED = "ended", "Ended"

    OPEN = (State.REQUESTED, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="probes")
    source = models.CharField(max_length=10, default="worker")
    state = models.CharField(max_length=10, choices=State, default=State.REQUESTED)
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    taken_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=512, blank=True)
    gpu_count = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["host"], condition=Q(state__in=("requested", "running")), name="one_open_probe_a_host"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["host", "-requested_at"], name="probe_by_host"),
            models.Index(fields=["ended_at"], name="probe_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.status} {self.requested_at:%Y-%m-%d %H:%M:%S}"


class Sample(models.Model):
    """Readings of one GPU at one moment (resolution 0), or their mean and maximum over a period.

    `at_s` is Unix time in whole seconds, UTC: the moment, or the start of the period. `weight` is the number
    of raw samples that a row stands for. The key consists of columns of the row: no surrogate key, one index.
    """

    pk = models.CompositePrimaryKey("gpu_id", "resolution_s", "at_s")
    # No database constraint: the check would cost as much as the row itself, and old rows are deleted anyway.
    gpu = models.ForeignKey(Gpu, on_delete=models.CASCADE, db_index=False, db_constraint=False)
    resolution_s = models.PositiveIntegerField()
    at_s = models.BigIntegerField()
    weight = models.PositiveIntegerField(default=1)
    utilization_percent = models.FloatField(null=True)
    utilization_max_percent = models.FloatField(null=True)
    memory_used_bytes = models.BigIntegerField(null=True)
    memory_used_max_bytes = models.BigIntegerField(null=True)
    power_w = models.FloatField(null=True)
    temperature_c = models.FloatField(null=True)
    temperature_max_c = models.FloatField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["resolution_s", "at_s"], name="sample_by_age")]

    def __str__(self) -> str:
        return f"{self.gpu_id} at {self.at_s}"


class Event(models.Model):
    """Something changed. `detail` holds the figures that `text` puts into words."""

    class Kind(models.TextChoices):
        """What changed."""

        HOST_ADDED = "host_added", "Host added"
        GPU_ADDED = "gpu_added", "GPU added"
        GPU_LOST = "gpu_lost", "GPU lost"
        GPU_BACK = "gpu_back", "GPU back"
        GPU_MOVED = "gpu_moved", "GPU moved"
        MIG_RECONFIGURED = "mig_reconfigured", "MIG reconfigured"
        ECC_ERRORS = "ecc_errors", "Memory errors"
        FAULT = "fault", "Fault"
        XID = "xid", "Xid error"
        DRIVER_CHANGED = "driver_changed", "Driver changed"
        THROTTLED = "throttled", "Throttled"
        IDLE = "idle", "Idle"
        PROBE_FAILED = "probe_failed", "Probe failed"
        PROBE_BACK = "probe_back", "Probe works again"

    kind = models.CharField(max_length=20, choices=Kind)
    at = models.DateTimeField()
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    gpu = models.ForeignKey(Gpu, null=True, blank=True, on_delete=models.CASCADE, related_name="events")
    text = models.CharField(max_length=600)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-at", "-id"], name="event_by_time"),
            models.Index(fields=["host", "-at"], name="event_by_host"),
            models.Index(fields=["gpu", "-at"], name="event_by_gpu"),
        ]

    def __str__(self) -> str:
        return self.text


class HostToken(models.Model):
    """Lets one host deliver its snapshots. `key` signs; the token itself is shown once and not stored."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="tokens")
    identifier = models.CharField(max_length=32, unique=True)
    key = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.identifier} for {self.host_id}"


class Nonce(models.Model):
    """A request that was answered; a second one with the same nonce is a replay."""

    value = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.value


class Refusal(models.Model):
    """A delivery that was rejected, for administrators to see."""

    at = models.DateTimeField(db_index=True)
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.CASCADE, related_name="refusals")
    kind = models.CharField(max_length=40)
    reason = models.CharField(max_length=600)
    sender = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering: ClassVar = ["-at"]

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"
