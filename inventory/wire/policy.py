"""How long the fleet's history is kept, and when a host or a GPU is called stale or idle.

Pure numbers, each with its reason. Nothing here knows the database.
"""

from __future__ import annotations

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400

# --- Probing ---
DEFAULT_INTERVAL_S = 60
SHORTEST_INTERVAL_S = 10
# A probe that has not ended by then never will; its deadline in the child process is shorter.
PROBE_DEADLINE_S = 20
STUCK_AFTER_S = 60
# After a failed probe the next one comes sooner, then less and less soon, up to the interval.
RETRY_FIRST_S = 15
# Share of the wait that is random, so that a fleet restarted at once does not probe in step.
JITTER = 0.1
# Three missed probes are more than one lost message.
STALE_AFTER_INTERVALS = 3

# --- Snapshots from agents ---
MAX_BODY_BYTES = 8 * 2**20
MAX_SNAPSHOTS_A_REQUEST = 200
# Clocks of a request's sender and of this server may differ by so much; nonces are kept for twice that.
CLOCK_TOLERANCE_S = 300
# A snapshot may be this much ahead of the moment it was sent at, for the grain of clocks.
FUTURE_TOLERANCE_S = 5
# Rows kept of refusals in one hour; a flood of them is in the log alone, and cannot fill the database.
MOST_REFUSALS_AN_HOUR = 1000
# Older snapshots are not taken: whether they came before could not be told (see KEEP_DELIVERED_PROBES_S).
OLDEST_SNAPSHOT_S = 7 * DAY_S

# --- Samples: resolution in seconds -> how long rows of that resolution are kept ---
RAW = 0
FIVE_MINUTES = 300
HOURLY = 3600
KEEP_S = {RAW: 6 * HOUR_S, FIVE_MINUTES: 3 * DAY_S, HOURLY: 400 * DAY_S}

# --- Other history ---
KEEP_GOOD_PROBES_S = 2 * DAY_S
# The ids of delivered snapshots, longer than such a one may come again: so that none counts twice.
KEEP_DELIVERED_PROBES_S = OLDEST_SNAPSHOT_S + DAY_S
KEEP_FAILED_PROBES_S = 90 * DAY_S
KEEP_EVENTS_S = 400 * DAY_S
KEEP_REFUSALS_S = 30 * DAY_S

# --- Idle ---
IDLE_EVENT_AFTER_S = 3 * DAY_S
IDLE_UTILIZATION_PERCENT = 0
# A driver holds some memory itself, which its older call counts as used. More than this share belongs to
# somebody, also where the processes of other containers cannot be seen.
IDLE_MEMORY_SHARE = 0.05
