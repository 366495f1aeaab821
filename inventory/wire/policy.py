"""How long the fleet's history is kept, and when a host or a GPU counts as stale or idle.

Pure numbers, each with its reason. Nothing here uses the database.
"""

from __future__ import annotations

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400

# --- Probing ---
DEFAULT_INTERVAL_S = 60
SHORTEST_INTERVAL_S = 10
PROBE_DEADLINE_S = 20
# A probe that has not ended by then never will, since its deadline in the child process is shorter.
STUCK_AFTER_S = 60
# After a failed probe the next one comes sooner; the wait then doubles up to the interval.
RETRY_FIRST_S = 15
# Share of the wait that is random, so that a fleet that was restarted together does not probe together.
JITTER = 0.1
# Three missed probes are more than one lost message.
STALE_AFTER_INTERVALS = 3

# --- Snapshots from agents ---
MAX_BODY_BYTES = 8 * 2**20
MAX_SNAPSHOTS_A_REQUEST = 200
# Largest difference between the clocks of a sender and of this server; nonces are kept for twice that.
CLOCK_TOLERANCE_S = 300
# A snapshot may be this much later than the moment it was sent, because of clock resolution.
FUTURE_TOLERANCE_S = 5
# Refusals kept per hour; further ones are only logged, so that a flood cannot fill the database.
MOST_REFUSALS_AN_HOUR = 1000
# Older snapshots are refused: the ids that show duplicates are gone by then (KEEP_DELIVERED_PROBES_S).
OLDEST_SNAPSHOT_S = 7 * DAY_S

# --- Samples: resolution in seconds -> how long rows of that resolution are kept ---
RAW = 0
FIVE_MINUTES = 300
HOURLY = 3600
KEEP_S = {RAW: 6 * HOUR_S, FIVE_MINUTES: 3 * DAY_S, HOURLY: 400 * DAY_S}

# --- Other history ---
KEEP_GOOD_PROBES_S = 2 * DAY_S
# Ids of delivered snapshots are kept longer than one may be sent again, so that none counts twice.
KEEP_DELIVERED_PROBES_S = OLDEST_SNAPSHOT_S + DAY_S
KEEP_FAILED_PROBES_S = 90 * DAY_S
KEEP_EVENTS_S = 400 * DAY_S
KEEP_REFUSALS_S = 30 * DAY_S

# --- Idle ---
IDLE_EVENT_AFTER_S = 3 * DAY_S
IDLE_UTILIZATION_PERCENT = 0
# A driver holds some memory itself, which its older call counts as used. More than this share belongs to some
# process, even where the processes of other containers cannot be seen.
IDLE_MEMORY_SHARE = 0.05
