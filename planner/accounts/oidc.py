"""Sign-in at an identity provider: who somebody is, and which roles the groups there mean here.

Met only where OIDC_CLIENT_ID is set.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import jwt
import requests
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.utils import import_from_settings
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from planner.accounts import discovery
from planner.accounts.policy import Role
from planner.accounts.services import people

log = logging.getLogger("headroom.audit")
AWAY = "Your organisation's sign-in does not answer. Try again in a moment, or log in with a password."
REFUSED = "Your organisation's sign-in did not work out. Begin it again."


def roles_in(claims: Mapping[str, Any], *, claim: str, meaning: Mapping[str, str]) -> set[str]:
    """Names of the roles that the groups in the claims mean; unknown groups mean none."""
    listed = claims.get(claim) or []
    groups: Iterable[Any] = [listed] if isinstance(listed, str) else listed
    names = {meaning[group] for group in groups if isinstance(group, str) and group in meaning}
    return {role.value for role in Role if role.value in names}


class Backend(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no annotations
    """Users by their subject there, which never changes; names and addresses may.

    The library checks signature, expiry, nonce and state; for whom a token is, and by whom, is checked here.
    """

    @staticmethod
    def get_settings(attr: str, *args: Any) -> Any:
        """A setting; of an endpoint that is not named, the issuer, until a sign-in asks where it is.

        The backend is also made for those who log in with a password, who must not wait for a provider.
        """
        if attr in discovery.ENDPOINTS and settings.OIDC_ISSUER:
            return getattr(settings, attr, "") or settings.OIDC_ISSUER
        return import_from_settings(attr, *args)

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> Any:
        """The user whom the provider sent back, or None where anything about that is not as it should be."""
        if request is None or not {"code", "state"} <= set(request.GET):
            return None
        try:
            for name in discovery.ENDPOINTS:
                setattr(self, name, discovery.endpoint(name))
            return super().authenticate(request, **credentials)
        except (discovery.ProviderError, requests.RequestException) as failure:
            log.warning("the identity provider cannot be asked: %s", failure)
        except (jwt.PyJWTError, SuspiciousOperation, ValueError, KeyError, TypeError) as wrong:
            log.warning("a sign-in elsewhere was refused: %s", wrong)
        return None

    def verify_token(self, token: Any, **kwargs: Any) -> Any:
        """What the token says, if it is the provider's and for us.

        Source: OpenID Connect Core 1.0, section 3.1.3.7, points 2 to 5.
        """
        said = super().verify_token(token, **kwargs)
        audience = said.get("aud")
        audience = audience if isinstance(audience, list) else [audience]
        if settings.OIDC_RP_CLIENT_ID not in audience:
            raise SuspiciousOperation("the token is for another client")
        if said.get("azp", settings.OIDC_RP_CLIENT_ID) != settings.OIDC_RP_CLIENT_ID:
            raise SuspiciousOperation("the token was issued to another client")
        if settings.OIDC_ISSUER and said.get("iss") != settings.OIDC_ISSUER:
            raise SuspiciousOperation("the token is another issuer's")
        if "exp" not in said:
            raise SuspiciousOperation("the token never expires")
        return said

    def get_userinfo(self, access_token: Any, id_token: Any, payload: Mapping[str, Any]) -> Any:
        """The claims, if they are about whom the token is about (section 5.3.2)."""
        claims = super().get_userinfo(access_token, id_token, payload)
        if not isinstance(claims, dict) or claims.get("sub") != payload.get("sub"):
            raise SuspiciousOperation("the claims are about somebody else")
        return claims

    def filter_users_by_claims(self, claims: Mapping[str, Any]) -> Any:
        """The user of this subject.  Never by e-mail address, which people may choose at some providers."""
        return people.named(self.get_username(claims))

    def verify_claims(self, claims: Mapping[str, Any]) -> bool:
        """A subject is all that is needed."""
        return bool(claims.get("sub"))

    def get_username(self, claims: Mapping[str, Any]) -> str:
        """A name that is nobody's who has a password here: Django allows no colon in those."""
        return f"oidc:{claims['sub']}"[:150]

    def create_user(self, claims: Mapping[str, Any]) -> User:
        """A user without a password here."""
        user = User(username=self.get_username(claims))
        user.set_unusable_password()
        return self._as_claimed(user, claims)

    def update_user(self, user: User, claims: Mapping[str, Any]) -> User:
        """Name, address and roles as the provider has them now."""
        return self._as_claimed(user, claims)

    def _as_claimed(self, user: User, claims: Mapping[str, Any]) -> User:
        user.email = str(claims.get("email", ""))[:254]
        user.first_name = str(claims.get("given_name", "") or claims.get("name", ""))[:150]
        user.last_name = str(claims.get("family_name", ""))[:150]
        user.save()
        names = roles_in(claims, claim=settings.OIDC_GROUPS_CLAIM, meaning=settings.OIDC_ROLES)
        if settings.OIDC_ROLES:  # else roles are given here, in the admin
            people.give_roles(user, names)
        return user


@method_decorator(login_not_required, name="dispatch")
class Start(OIDCAuthenticationRequestView):  # type: ignore[misc]  # the library has no annotations
    """Sends a person to the provider."""

    @staticmethod
    def get_settings(attr: str, *args: Any) -> Any:
        """As of the backend: where to is asked once somebody goes there."""
        return Backend.get_settings(attr, *args)

    def get(self, request: HttpRequest) -> HttpResponse:
        """To the provider, or back to the log-in with the reason."""
        try:
            self.OIDC_OP_AUTH_ENDPOINT = discovery.endpoint("OIDC_OP_AUTHORIZATION_ENDPOINT")
        except discovery.ProviderError as failure:
            log.warning("the identity provider cannot be asked: %s", failure)
            messages.error(request, AWAY)
            return redirect(settings.LOGIN_URL)
        sent: HttpResponse = super().get(request)
        return sent


@method_decorator(login_not_required, name="dispatch")
class Back(OIDCAuthenticationCallbackView):  # type: ignore[misc]  # the library has no annotations
    """Takes a person back from the provider."""

    def login_failure(self) -> HttpResponse:
        """To the log-in, with a sentence; the log has the reason."""
        messages.error(self.request, REFUSED)
        return redirect(settings.LOGIN_URL)
