"""Sign-in at an identity provider: who somebody is, and which roles the groups there mean here.

Met only where OIDC_CLIENT_ID is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from planner.accounts.policy import Role
from planner.accounts.services import people


def roles_in(claims: Mapping[str, Any], *, claim: str, meaning: Mapping[str, str]) -> set[str]:
    """Names of the roles that the groups in the claims mean; unknown groups mean none."""
    listed = claims.get(claim) or []
    groups: Iterable[Any] = [listed] if isinstance(listed, str) else listed
    names = {meaning[group] for group in groups if isinstance(group, str) and group in meaning}
    return {role.value for role in Role if role.value in names}


class Backend(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no annotations
    """Users by their subject there, which never changes; names and addresses may."""

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
