"""Schemathesis against every operation: no fault of ours, no answer that the document does not describe."""

from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from inventory.pages import programs as _declares  # noqa: F401
from planner.api import services
from planner.api.openapi import openapi_document
from planner.web.operations import DECLARED
from planner.web.programs import SCOPES

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
#: A schema cannot say that degrees divide heads, or that a price is known: such questions are refused.
NOT_FOR_US = [positive_data_acceptance]
FEW = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def document() -> Any:
    return schemathesis.openapi.from_dict(openapi_document())


def operation(document: Any, name: str) -> Any:
    declared = DECLARED[name]
    found = document[f"/api/v1/{declared.path}"][declared.method]
    found.app = get_wsgi_application()
    document.app = found.app
    return found


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
@pytest.mark.parametrize("name", sorted(DECLARED))
def test_nothing_is_found(document: Any, name: str, mode: Any) -> None:
    declared = DECLARED[name]
    if mode.is_negative and not (declared.takes or declared.lists):
        pytest.skip("nothing in it can be wrong")
    asked = operation(document, name)
    cases = asked.as_strategy(generation_mode=mode)
    heads = {"Accept-Encoding": "identity"}  # its transport does not unpack
    if declared.writes:  # else nothing past the door is reached
        boss = User.objects.create_superuser("boss")
        _, token = services.make_token(boss, name="t", scopes=SCOPES, days=1, now=timezone.now())
        heads["Authorization"] = f"Bearer {token}"

    @FEW
    @given(data=st.data())
    def ask(data: Any) -> None:
        case = data.draw(cases)
        case.call_and_validate(
            excluded_checks=NOT_FOR_US,
            headers=heads,
        )

    ask()
