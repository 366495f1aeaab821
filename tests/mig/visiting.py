"""What tests of the partitions pages share: an address to vary, and the text that it shows."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from django.test import Client

ROW = {"chip": "a100-sxm-40gb", "n": "2", "on": "3g.20gb@0!,1g.5gb@5", "at": ""}


def address(**more: str) -> str:
    return "/mig?" + urlencode(ROW | {"want": "1g.5gb", "count": "2"} | more)


def text_of(client: Client, path: str, status: int = 200, **headers: str) -> str:
    answer = client.get(path, headers=headers or None)
    assert answer.status_code == status, answer.content[:800]
    return re.sub(r"\s+", " ", answer.content.decode())
