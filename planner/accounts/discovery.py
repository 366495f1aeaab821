"""What an identity provider says of itself (OpenID Connect Discovery 1.0): the addresses of its endpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import requests
from django.conf import settings

WELL_KNOWN = "/.well-known/openid-configuration"
#: Settings of the sign-in, and what the provider's document calls them.
ENDPOINTS = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "authorization_endpoint",
    "OIDC_OP_TOKEN_ENDPOINT": "token_endpoint",
    "OIDC_OP_USER_ENDPOINT": "userinfo_endpoint",
    "OIDC_OP_JWKS_ENDPOINT": "jwks_uri",
}
KEPT_S = 3600.0
_lock = threading.Lock()
_kept: dict[str, tuple[float, dict[str, Any]]] = {}


class ProviderError(Exception):
    """The provider does not answer, or not as one should."""


def endpoint(setting: str) -> str:
    """The address that a setting names, or that the provider itself names. Raises ProviderError."""
    if named := getattr(settings, setting, ""):
        return str(named)
    found = document(settings.OIDC_ISSUER).get(ENDPOINTS[setting])
    if not isinstance(found, str) or not found:
        raise ProviderError(f"the provider names no {ENDPOINTS[setting]}")
    return found


def document(issuer: str) -> Mapping[str, Any]:
    """What the provider says of itself, read once an hour. Raises ProviderError."""
    with _lock:
        read_at, known = _kept.get(issuer, (0.0, {}))
    if known and time.monotonic() - read_at < KEPT_S:
        return known
    try:
        answer = requests.get(issuer.rstrip("/") + WELL_KNOWN, timeout=settings.OIDC_TIMEOUT)
        answer.raise_for_status()
        found = answer.json()
    except (requests.RequestException, ValueError) as failure:
        raise ProviderError(f"{issuer} does not say what it is: {failure}") from failure
    # Section 4.3: another issuer's document is nobody's.
    if not isinstance(found, dict) or found.get("issuer") != issuer:
        raise ProviderError(f"{issuer} says that it is another issuer")
    with _lock:
        _kept[issuer] = time.monotonic(), found
    return found


def forget() -> None:
    """Read the documents anew when they are next needed."""
    with _lock:
        _kept.clear()
