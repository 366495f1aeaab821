"""Everything that writes the fleet's tables. Views, tasks and commands call these functions."""

from inventory.store.services.delivery import (
    DeliveryError,
    add_host,
    host_of_token,
    join_by_worker,
    note_refusal,
    receive,
    revoke_tokens,
)
from inventory.store.services.probes import (
    close_overdue_probes,
    finish_probe,
    probe_now,
    request_due_probes,
    start_probe,
    withdraw_probe,
)
from inventory.store.services.recording import Outcome, Taken, record_snapshot, record_snapshots
from inventory.store.services.retention import report_idle_gpus, thin_history

__all__ = [
    "DeliveryError",
    "Outcome",
    "Taken",
    "add_host",
    "close_overdue_probes",
    "finish_probe",
    "host_of_token",
    "join_by_worker",
    "note_refusal",
    "probe_now",
    "receive",
    "record_snapshot",
    "record_snapshots",
    "report_idle_gpus",
    "request_due_probes",
    "revoke_tokens",
    "start_probe",
    "thin_history",
    "withdraw_probe",
]
