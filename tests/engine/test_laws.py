"""Laws between answers, on runs drawn at random: a few in every test, many in the slow ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine import laws
from tests.engine.laws import Asked, Found

FEW, MANY = 8, 1000


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_laws_hold(law: Callable[[Asked], Found]) -> None:
    checks, wrong = laws.broken(range(FEW), law)
    assert checks > FEW // 2
    assert wrong == {}


@pytest.mark.slow
@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_laws_hold_on_many_runs(law: Callable[[Asked], Found]) -> None:
    checks, wrong = laws.broken(range(FEW, MANY), law)
    assert checks > MANY // 2
    assert wrong == {}
