"""What the engine's tests share: the constants that ship, and property tests without deadlines."""

import pytest
from hypothesis import HealthCheck, settings

from planner.accuracy.calibration import shipped_calibration
from planner.engine.sure.calibration import Calibration

settings.register_profile(
    "engine", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("engine")


@pytest.fixture(scope="session")
def calibration() -> Calibration:
    return shipped_calibration()
