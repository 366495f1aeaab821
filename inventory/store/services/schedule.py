"""The periodic tasks of the fleet, as rows that django-celery-beat reads and administrators edit.

How often a host is probed is set on the host or its group; these rows say how often due hosts are looked for.
"""

from __future__ import annotations

from typing import Any

# name -> (task, every so many seconds, description)
PERIODIC: dict[str, tuple[str, int, str]] = {
    "Fleet: ask for due probes": (
        "inventory.request_probes",
        10,
        "Looks for hosts whose probe is due. The interval of each host is on the host or its group.",
    ),
    "Fleet: thin history": ("inventory.thin_history", 900, "Raw samples become five-minute and hourly ones."),
    "Fleet: report idle GPUs": ("inventory.report_idle_gpus", 3600, "One event for each GPU idle for days."),
}


def ensure_periodic_tasks(**_: Any) -> None:
    """Create the rows that are missing; existing ones stay as administrators have edited them."""
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    for name, (task, every, description) in PERIODIC.items():
        if PeriodicTask.objects.filter(name=name).exists():
            continue
        schedule, _made = IntervalSchedule.objects.get_or_create(every=every, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.create(
            name=name, task=task, interval=schedule, description=description, expire_seconds=max(every, 60)
        )
