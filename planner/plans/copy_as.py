"""A plan's question as a line of shell and as Python, to ask it again from a program."""

from __future__ import annotations

import json
import pprint
import shlex
from typing import Any

ADDRESS = "/api/v1/estimate"


def as_curl(question: dict[str, Any], root: str) -> str:
    """The question as a curl command.  root: where this server is, such as ``http://localhost:8000``."""
    body = shlex.quote(json.dumps(question, allow_nan=False))
    return f"curl -s {shlex.quote(root + ADDRESS)} -H 'Content-Type: application/json' -d {body}"


def as_python(question: dict[str, Any], root: str) -> str:
    """The question for the Python client; a literal, so that nothing in it is ever run."""
    return (
        "from headroom_client import Headroom\n\n"
        f"question = {pprint.pformat(question, sort_dicts=False, width=88)}\n"
        f"answer = Headroom({root!r}).estimate(question)\n"
        "print(answer.verdict, answer.total_s, answer.usd)\n"
    )
