"""Wiring only: settings from the environment, Celery, urls, servers.  No word of GPUs or plans lives here."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
