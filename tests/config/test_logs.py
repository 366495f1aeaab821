"""Logs that programs read: one object a line, each request with its number."""

import json
import logging

import pytest
from django.test import Client

from config.logs import JsonLines


def test_a_record_is_one_line_of_json() -> None:
    record = logging.makeLogRecord(
        {"msg": "a\nb %s", "args": ("c",), "name": "x", "status": 200, "thing": {1}}
    )
    text = JsonLines().format(record)
    assert "\n" not in text
    read = json.loads(text)
    assert (read["message"], read["logger"], read["status"]) == ("a\nb c", "x", 200)
    assert read["time"].endswith("+00:00")


def test_an_exception_is_in_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError as wrong:
        record = logging.makeLogRecord({"exc_info": (type(wrong), wrong, wrong.__traceback__)})
    assert "ValueError: broken" in json.loads(JsonLines().format(record))["exception"]


def test_each_request_has_a_number_that_goes_back(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="headroom.requests"):
        answer = client.get("/favicon.ico", headers={"X-Request-ID": "given-by-a-proxy"})
        forged = client.get("/favicon.ico", headers={"X-Request-ID": "bad\tvalue"})
    assert answer["X-Request-ID"] == "given-by-a-proxy" != forged["X-Request-ID"]
    line = json.loads(JsonLines().format(caplog.records[0]))
    assert (line["path"], line["status"], line["request_id"]) == ("/favicon.ico", 302, "given-by-a-proxy")
