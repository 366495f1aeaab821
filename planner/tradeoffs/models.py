"""The trade-offs' tables: searches that run in the background, split into parts that workers take.

A job is one question; its key is made of the question and of everything the answer depends on, so whoever
asks the same again finds the same job. A part is some of the machines. The result is kept with the job.
"""

from __future__ import annotations

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
