"""Text to JSON and back: what ordinary readers wave through is refused by name."""

import json
import math

import pytest

from planner.contract.jsontext import MAX_JSON_BYTES, not_finite, plain_value, read_json, write_json
from planner.engine.question.errors import PlanError


def test_plain_json_is_read_as_it_is() -> None:
    assert read_json('{"a": [1, 2.5, null, true, "x"]}') == {"a": [1, 2.5, None, True, "x"]}
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": 1} {"b": 2}', "not JSON"),
        ('{"a": 1, "a": 2}', "given twice"),
        ('{"a": {"b": 1, "b": 1}}', "given twice"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "too many digits"),
        (b"\xff\xfe{", "not UTF-8"),
        (" " * (MAX_JSON_BYTES + 1), "4 MiB"),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(text: str | bytes, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_json(text)
    assert words in caught.value.message
    assert caught.value.remedy
    assert len(caught.value.message) < 300
    json.dumps(caught.value.as_dict(), allow_nan=False)


def test_the_limit_counts_bytes_not_letters() -> None:
    fits = '"' + "ü" * ((MAX_JSON_BYTES - 2) // 2) + '"'
    assert len(read_json(fits)) == (MAX_JSON_BYTES - 2) // 2
    with pytest.raises(PlanError):
        read_json(fits[:-1] + 'ü"')


def test_nan_and_infinities_are_found_where_they_stand() -> None:
    found = not_finite(read_json('{"a": NaN, "b": [1, {"c": 1e999}], "d": -Infinity}'))
    assert [path for path, _ in found] == ["a", "b.1.c", "d"]
    assert all(not math.isfinite(value) for _, value in found)


def test_what_is_written_is_one_line_and_never_nan() -> None:
    assert write_json({"a": "x\ny é", "b": 1.5}) == '{"a": "x\\ny \\u00e9", "b": 1.5}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"a": math.nan})


@pytest.mark.parametrize(
    "value", ["x" * 10_000_000, ["y"] * 100_000, 10**400, math.inf, math.nan, object(), "\ud800"]
)
def test_an_error_shows_values_short_and_json_safe(value: object) -> None:
    shown = json.dumps(plain_value(value), allow_nan=False).encode()
    assert len(shown) < 800
