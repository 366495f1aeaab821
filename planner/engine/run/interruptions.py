"""The time that a run takes on machines that are taken back now and then.

Any machine that is lost stops the whole run, which goes on from its last checkpoint once a machine has taken
the lost one's place. Waiting for capacity that is sold out is not counted: nobody publishes how long it
takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import Array
from planner.engine.question.sale import Interruptions
from planner.engine.run.length import SECONDS_PER_DAY

#: A checkpoint that stops training this long. Our judgement: sharded writes of some terabytes to a parallel
#: or object store take a minute or so; asynchronous ones less.
WRITE_S = 60.0
#: From the loss of a machine until training has caught up. Jiang et al. 2024 (MegaScale), section 6.3:
#: detected and checked in under 10 minutes, caught up within 15; spot machines give notice, so 15 stand here.
RESTART_S = 900.0
#: Exponents beyond it stand for a run that makes no headway; e^50 keeps every figure finite.
LARGEST_EXPONENT = 50.0
#: Machines of one kind in one zone are mostly taken back together (over 92 % of them within three minutes:
#: Spot-and-Scoot, 2,635 interruptions). So the low end counts the losses of one machine alone, and the high
#: end MANY_LOSSES times those of independent machines, as the bands of published rates are that wide.
MANY_LOSSES = 2.0


def rate_per_s(nodes: Array | float, interruptions: Interruptions) -> Array | float:
    """Losses a second that stop the run: those of all its machines, taken as independent. nodes: count."""
    return nodes * interruptions.per_node_day / SECONDS_PER_DAY


def checkpoint_interval_s(rate: Any, interruptions: Interruptions) -> Array | float:
    """Seconds of work between checkpoints: as asked, else the square root of 2 x write x mean time to loss.

    rate: losses a second, shape (plans,).  Source: Young 1974, "A first order approximation to the optimum
    checkpoint interval".
    """
    if interruptions.checkpoint_s is not None:
        return interruptions.checkpoint_s
    best: Array | float = np.sqrt(2.0 * interruptions.write_s / rate)
    return best


def lasting_s(
    computing_s: Array | float,
    nodes: Array | float,
    interruptions: Interruptions | None,
    *,
    times: float = 1.0,
) -> Array | float:
    """Expected seconds of the whole run, with checkpoints, lost work and restarts.

    computing_s: seconds of its steps alone, shape (plans,).  nodes: count.  times: how many times as many
    losses as expected.  What is lost whatever the reason (``kept_share``) is added first.  The run is
    M e^(R/M) (e^((t + w)/M) - 1) x those seconds / t long, with M the mean time between losses, R the
    restart, t the checkpoint interval and w what one takes to write.
    Source: Daly 2006, "A higher order estimate of the optimum checkpoint interval", its complete model of the
    wall time.
    """
    if interruptions is None:
        return computing_s
    computing_s = computing_s / interruptions.kept_share
    if interruptions.per_node_day <= 0.0 or times <= 0.0:
        return computing_s
    rate: Any = np.asarray(rate_per_s(nodes, interruptions)) * times
    # A short run needs no checkpoint before its end.
    interval = np.minimum(checkpoint_interval_s(rate, interruptions), computing_s)
    restart = np.exp(np.minimum(rate * interruptions.restart_s, LARGEST_EXPONENT))
    lost = np.expm1(np.minimum(rate * (interval + interruptions.write_s), LARGEST_EXPONENT))
    stretch = restart * lost / (rate * interval)
    longer: Array | float = np.where(np.isfinite(computing_s), computing_s * stretch, computing_s)
    return longer if np.ndim(longer) else float(longer)


def lasting_ends_s(
    computing_ends_s: tuple[float, float], nodes: float, interruptions: Interruptions | None
) -> tuple[float, float]:
    """(low, high) of the run: the ends of the steps' own range, with few losses and with many.

    computing_ends_s: seconds.  nodes: count; the low end has as many losses as one machine alone.
    interruptions: None where there are none.  Source: ``lasting_s``; MANY_LOSSES.
    """
    low, high = computing_ends_s
    return (
        float(lasting_s(low, 1.0, interruptions)),
        float(lasting_s(high, nodes, interruptions, times=MANY_LOSSES)),
    )
