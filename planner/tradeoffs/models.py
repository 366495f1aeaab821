"""The trade-offs' tables: saved scenarios, and searches in the background, split into parts for workers.

A job is one question; its key is made of the question and of everything the answer depends on, so whoever
asks the same again finds the same job. A part is some of the machines. The result is kept with the job.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models
from django.utils import timezone


class SearchState(models.TextChoices):
    """Where a search, or a part of one, stands. That a worker was lost is seen from its heartbeat."""

    WAITING = "waiting", "Waiting for a worker"
    RUNNING = "running", "Running"
    MERGING = "merging", "Putting the parts together"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


class SearchJob(models.Model):
    """One search. question: the contract's request, without id and stream. today: the day it is asked for."""

    key = models.CharField(max_length=64, primary_key=True)
    question = models.JSONField()
    today = models.DateField()
    state = models.CharField(max_length=12, choices=SearchState, default=SearchState.WAITING)
    plans = models.BigIntegerField("layouts to look at")
    created_at = models.DateTimeField(default=timezone.now)
    asked_at = models.DateTimeField("last asked for", default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)
    problem = models.TextField(blank=True)

    class Meta:
        indexes = (models.Index(fields=["asked_at"], name="search_job_by_last_asked"),)

    def __str__(self) -> str:
        return f"{self.key[:12]} ({self.state})"


class SearchPart(models.Model):
    """Some machines of a search, searched by one worker.

    pieces: positions of the kinds of machine. attempt: counts how often it was taken; a worker that was
    thought lost finds another number and stops. front: the best so far; found: what is kept once it is done.
    """

    job = models.ForeignKey(SearchJob, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    pieces = models.JSONField()
    state = models.CharField(max_length=12, choices=SearchState, default=SearchState.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    plans = models.BigIntegerField("layouts to look at")
    plans_done = models.BigIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    front = models.JSONField(default=list)
    found = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["job", "number"], name="search_part_once"),)

    def __str__(self) -> str:
        return f"part {self.number} of {self.job_id}"


def new_key() -> str:
    """A name for a scenario's address that cannot be guessed."""
    return secrets.token_urlsafe(9)


class Visibility(models.TextChoices):
    """Who sees a saved scenario beside its owner."""

    PRIVATE = "private", "Only me"
    EVERYONE = "everyone", "Everyone who can read these pages"


#: Stands for the address of a question that programs can ask and the form cannot.
NO_ADDRESS = "-"


class Scenario(models.Model):
    """A plan as it was when it was saved. It is never computed anew: what changed since is told beside it.

    query: the Plan page's address, or NO_ADDRESS.  question, answer: the contract's request and response.
    facts: what the catalog said of model and machine, so that it can be run again when it no longer says so.
    constants: when and how those in force were fitted.  labels: words with commas between.  owner: null in
    single-user mode.
    share_token: names the read-only link, null where there is none.  deleted_at: kept 30 days more.
    """

    key = models.CharField(max_length=24, unique=True, default=new_key)
    name = models.CharField(max_length=120)
    note = models.TextField(blank=True, max_length=4000)
    labels = models.CharField(max_length=200, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="scenarios"
    )
    visibility = models.CharField(max_length=10, choices=Visibility, default=Visibility.EVERYONE)
    query = models.TextField(blank=True)
    question = models.JSONField()
    answer = models.JSONField()
    facts = models.JSONField()
    constants = models.JSONField()
    prices_as_of = models.DateField(null=True, blank=True)
    saved_at = models.DateTimeField(default=timezone.now)
    share_token = models.CharField(max_length=48, null=True, blank=True, unique=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-saved_at",)
        indexes = (models.Index(fields=["deleted_at", "-saved_at"], name="scenario_by_day"),)

    def __str__(self) -> str:
        return self.name
