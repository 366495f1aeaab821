"""The Celery application: how work travels to workers.  What the work is, the apps' `tasks` modules say."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("headroom")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.task(name="config.ping", expires=60)
def ping() -> str:
    """Prove that a message gets from the broker to a worker and its answer back."""
    return "pong"
