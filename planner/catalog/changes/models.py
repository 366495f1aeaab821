"""Tables of what changes the catalog: refreshes, change sets, changes, rules, spot days and exchange
rates."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from planner.engine.question.words import PURCHASES

#: A refresh gives a sign of life so often, whatever it waits for ...
HEARD_EVERY_S = 10.0
#: ... and one that has not been heard of for so long was killed: another one may begin.
LOST_AFTER = timedelta(seconds=60)


class RefreshRun(models.Model):
    """One reading of one source. A source has at most one that runs; the database sees to it."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"
        PARTIAL = "partial", "partly read"
        FAILED = "failed", "failed"
        LOST = "lost", "ended without a word"
        NOT_SET_UP = "not_set_up", "not set up"

    source = models.CharField(max_length=40)
    state = models.CharField(max_length=12, choices=State.choices, default=State.RUNNING)
    asked_by = models.CharField(max_length=150, blank=True, help_text="Who asked; empty: the schedule.")
    started_at = models.DateTimeField()
    heard_at = models.DateTimeField(help_text="The last sign of life.")
    ended_at = models.DateTimeField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0, help_text="Parts read (regions, pages or machines).")
    expected = models.PositiveIntegerField(null=True, blank=True)
    rows_read = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=1000, blank=True)
    faults = models.JSONField(default=list, blank=True)
    unknown_fields = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-started_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(state="running"), name="refresh_one_a_source"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.started_at:%Y-%m-%d %H:%M} {self.get_state_display()}"

    def is_lost(self, now: datetime) -> bool:
        """Whether it is written down as running and its worker is gone."""
        return self.state == self.State.RUNNING and now - self.heard_at > LOST_AFTER


class ChangeSet(models.Model):
    """What one refresh, import, edition or edit would change or has changed."""

    class Kind(models.TextChoices):
        REFRESH = "refresh", "refresh"
        IMPORT = "import", "import"
        EDITION = "edition", "shipped edition"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    source = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    made_at = models.DateTimeField()
    run = models.OneToOneField(
        RefreshRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="change_set"
    )
    seen_again = models.PositiveIntegerField(
        default=0, help_text="Rows that the source says as we have them."
    )

    class Meta:
        ordering = ["-made_at", "-pk"]

    def __str__(self) -> str:
        return self.title


class Change(models.Model):
    """One field of one row, before and after; the whole row where it is new (field empty) or goes
    (withdrawn).

    flags: why it is not to be believed unseen; a flagged change is never accepted by a rule.
    undo: what accepting it did, so that it can be taken back.
    """

    class State(models.TextChoices):
        PROPOSED = "proposed", "proposed"
        ACCEPTED = "accepted", "accepted"
        REJECTED = "rejected", "rejected"
        UNDONE = "undone", "undone"

    change_set = models.ForeignKey(ChangeSet, on_delete=models.CASCADE, related_name="changes")
    table = models.CharField(max_length=40)
    key = models.JSONField(encoder=DjangoJSONEncoder)
    row = models.CharField(max_length=250, help_text="The row's key in words.")
    purchase = models.CharField(max_length=20, blank=True)
    field = models.CharField(max_length=60, blank=True)
    before = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    values = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)
    source = models.CharField(max_length=1000)
    as_of = models.DateField()
    confidence = models.FloatField(help_text="0 to 1: a judgement of the source, not a probability.")
    flags = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    why = models.CharField(max_length=500, blank=True)
    undo = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["state", "table"], name="change_state_table")]

    def __str__(self) -> str:
        return f"{self.row} {self.field}: {self.before} → {self.after}"

    @property
    def field_in_words(self) -> str:
        """The field as its table calls it; a row that is new or goes, as such."""
        if not self.field or self.field == "withdrawn":
            return "withdrawn" if self.field else "new row"
        table = apps.get_model("planner", self.table)
        return str(getattr(table._meta.get_field(self.field), "verbose_name", self.field))

    @property
    def percent_in_words(self) -> str:
        """ "−44.0 %"; empty where there is none."""
        return "" if self.percent is None else f"{self.percent:+.1f} %".replace("-", "−")

    @property
    def percent(self) -> float | None:
        """Change of a number in per cent of what it was; None where it is no number or was nothing."""
        try:
            before, after = float(str(self.before)), float(str(self.after))
        except (TypeError, ValueError):
            return None
        return (after / before - 1.0) * 100.0 if before else None


class AcceptanceRule(models.Model):
    """Changes that are accepted unseen: of these sources and purchases, and no larger than this."""

    name = models.CharField(max_length=100, unique=True)
    source = models.CharField(max_length=40, blank=True, help_text="A source's slug; empty: any.")
    purchase = models.CharField(
        max_length=20, blank=True, choices=[(slug, word.label) for slug, word in PURCHASES.items()],
        help_text="Empty: any.",
    )  # fmt: skip
    most_change_percent = models.FloatField(validators=[MinValueValidator(0.0)])
    new_rows = models.BooleanField(default=False, help_text="Rows that were not there before, too.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class SpotDay(models.Model):
    """The spot market of one instance type and region on one day, over its zones."""

    instance = models.CharField(max_length=60)
    region = models.CharField(max_length=40)
    day = models.DateField()
    zones = models.PositiveSmallIntegerField()
    usd_low = models.FloatField()
    usd_q25 = models.FloatField()
    usd_median = models.FloatField()
    usd_q75 = models.FloatField()
    usd_high = models.FloatField()

    class Meta:
        ordering = ["instance", "region", "day"]
        constraints = [models.UniqueConstraint(fields=["instance", "region", "day"], name="spot_day_once")]

    def __str__(self) -> str:
        return f"{self.instance} {self.region} {self.day}"


class ExchangeRate(models.Model):
    """How many units of a currency a US dollar bought on one day."""

    currency = models.CharField(max_length=3)
    day = models.DateField()
    per_usd = models.FloatField(validators=[MinValueValidator(0.0)])
    source = models.CharField(max_length=200)

    class Meta:
        ordering = ["currency", "-day"]
        constraints = [
            models.UniqueConstraint(fields=["currency", "day"], name="exchange_rate_once"),
            models.CheckConstraint(condition=Q(per_usd__gt=0), name="exchange_rate_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.day}: {self.per_usd}"
