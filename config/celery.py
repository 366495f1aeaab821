"""The Celery application: how work travels to workers.  What the work is, the apps' `tasks` modules say."""

import os
import warnings

from celery import Celery

from config.telemetry import watch_tasks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Celery's warning about root is about pickled messages; here only JSON is accepted (CELERY_ACCEPT_CONTENT).
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")

app = Celery("headroom")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["inventory.store", "planner.catalog.refresh", "planner.tradeoffs"])

watch_tasks()


@app.task(name="config.ping", expires=60, ignore_result=False)
def ping() -> str:
    """Prove that a message gets from the broker to a worker and its answer back."""
    return "pong"
