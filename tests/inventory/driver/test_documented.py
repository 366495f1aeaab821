"""What operations.md says of the fleet is what the program does, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headroom_agent.__main__ import _parser
from inventory.driver import probing
from inventory.store.models import Event
from inventory.wire import policy

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CODE = "".join(
    path.read_text(encoding="utf-8")
    for folder in ("inventory", "headroom_agent")
    for path in (ROOT / folder).rglob("*.py")
)


def test_every_variable_of_a_host_is_documented() -> None:
    read = set(re.findall(r"environ(?:\.get\(|\[)\"(HEADROOM_[A-Z_]+)\"", CODE))
    told = set(re.findall(r"^\| `(HEADROOM_[A-Z_]+)`", TEXT, re.MULTILINE))
    assert read == told


@pytest.mark.parametrize("status", sorted({status for status, _ in probing.START_FAILURES.values()}))
def test_every_status_is_documented(status: str) -> None:
    assert f"`{status}`" in TEXT


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("| raw samples | 6 hours |", policy.KEEP_S[policy.RAW]),
        ("| five-minute means and maxima | 3 days |", policy.KEEP_S[policy.FIVE_MINUTES]),
        ("| hourly means and maxima | 400 days |", policy.KEEP_S[policy.HOURLY]),
        ("| good probes | 2 days |", policy.KEEP_GOOD_PROBES_S),
        ("| good probes that an agent delivered | 8 days |", policy.KEEP_DELIVERED_PROBES_S),
        ("| failed probes | 90 days |", policy.KEEP_FAILED_PROBES_S),
        ("| events | 400 days |", policy.KEEP_EVENTS_S),
        ("| refused deliveries | 30 days |", policy.KEEP_REFUSALS_S),
    ],
)
def test_the_limits_are_the_policys(words: str, seconds: int) -> None:
    number, unit = re.findall(r"(\d+) (hours|days)", words)[0]
    assert words in TEXT
    assert int(number) * {"hours": policy.HOUR_S, "days": policy.DAY_S}[unit] == seconds


def test_the_agents_options_that_are_told_exist() -> None:
    options = {option for action in _parser()._actions for option in action.option_strings}
    told = set(re.findall(r"`(--(?:interval|spool-limit-mib|server|once|ca-file))`", TEXT))
    assert told
    assert told <= options


def test_every_kind_of_event_is_made_somewhere() -> None:
    for kind in Event.Kind:
        assert f"Event.Kind.{kind.name}" in CODE, kind
