"""The client against the server itself, without a network between them."""

import json
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from django.utils import timezone
from headroom_client import Headroom, NotAllowedError, QuestionError, UnavailableError, command
from rich.pretty import pretty_repr

from planner.api import services
from planner.api.operations import ESTIMATE_EXAMPLE, MIG_EXAMPLE, SEARCH_EXAMPLE

pytestmark = pytest.mark.django_db


@pytest.fixture
def server() -> Headroom:
    return Headroom("http://localhost", transport=httpx.WSGITransport(get_wsgi_application()))


def scripted(*answers: httpx.Response, waits: list[float] | None = None) -> Headroom:
    """A client of a server that gives these answers in turn."""
    left = list(answers)
    note = (waits if waits is not None else []).append
    return Headroom("http://x", transport=httpx.MockTransport(lambda _: left.pop(0)), sleep=note)


def test_an_estimate_is_typed_and_complete(server: Headroom) -> None:
    plan = server.estimate(ESTIMATE_EXAMPLE)
    assert plan.fits is True
    assert plan.total_interval_s[0] < plan.total_s < plan.total_interval_s[1]
    assert plan.total_s == plan.raw["time"]["total_s"]
    assert {"name", "formula", "source"} <= set(plan.to_frame().columns)
    assert "verdict" in pretty_repr(plan)
    assert "<table>" in plan._repr_html_()


def test_search_and_partitions(server: Headroom) -> None:
    found = server.search(SEARCH_EXAMPLE)
    assert found.best is not None
    assert found.best.total_s == found.top[0]["total_s"]
    assert "layout.tensor_parallel" in found.to_frame().columns
    assert len(server.mig(MIG_EXAMPLE).to_frame()) == 4


def test_lists_come_whole_and_once(server: Headroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headroom_client.client.PAGE_ROWS", 7)
    models = server.models()
    assert models["gpt2"]["parameters"]["total"] == 124_439_808
    assert len({row["slug"] for row in models}) == len(models) > 20
    assert [row["slug"] for row in server.models()] == [row["slug"] for row in models]
    assert {row["provider"] for row in server.instances(provider="aws")} == {"aws"}
    assert len(server.hosts()) == 0
    assert server.fleet()["hosts"] == 0


def test_a_scenario_is_kept_and_deleted() -> None:
    boss = User.objects.create_superuser("boss")
    _, text = services.make_token(boss, name="t", scopes=["scenarios", "save"], days=1, now=timezone.now())
    mine = Headroom("http://localhost", text, transport=httpx.WSGITransport(get_wsgi_application()))
    kept = mine.save_scenario("run", ESTIMATE_EXAMPLE, labels=["draft"])
    assert mine.scenario(kept["key"])["answer"]["time"]["total_s"] == kept["total_s"]
    assert [row["key"] for row in mine.scenarios(label="draft")] == [kept["key"]]
    assert mine.scenario_changes(kept["key"])["now"]["total_s"] == kept["total_s"]
    mine.delete_scenario(kept["key"])
    assert len(mine.scenarios()) == 0


def test_errors_say_what_to_do(server: Headroom) -> None:
    with pytest.raises(QuestionError) as wrong:
        server.estimate(ESTIMATE_EXAMPLE | {"model": "gtp2"})
    assert wrong.value.problems[0].field == "model"
    assert "gpt2" in str(wrong.value)


def test_a_token_goes_along(settings: Any) -> None:
    settings.LOGIN_REQUIRED = True
    transport = httpx.WSGITransport(get_wsgi_application())
    with pytest.raises(NotAllowedError):
        Headroom("http://localhost", "hr_wrong", transport=transport).models()
    ada = User.objects.create_user("ada")
    _, text = services.make_token(ada, name="test", scopes=["catalog"], days=1, now=timezone.now())
    assert len(Headroom("http://localhost", text, transport=transport).models()) > 20


def test_a_busy_server_is_asked_again_when_it_says() -> None:
    waits: list[float] = []
    busy = httpx.Response(503, headers={"Retry-After": "7"}, json={"error": {"message": "busy"}})
    listed = httpx.Response(200, json={"models": [], "total": 0, "next": None})
    assert len(scripted(busy, busy, listed, waits=waits).models()) == 0
    assert waits == [7.0, 7.0]
    with pytest.raises(UnavailableError, match="busy"):
        scripted(*[busy] * 4, waits=waits).models()


def test_what_has_not_changed_is_not_sent_again() -> None:
    page = {"models": [{"slug": "a"}], "total": 1, "next": None}
    client = scripted(httpx.Response(200, headers={"ETag": '"1"'}, json=page), httpx.Response(304))
    assert client.models().rows == client.models().rows == [{"slug": "a"}]


def test_a_stream_is_read_line_by_line() -> None:
    lines = [{"progress": {"share": 0.5}}, {"best": None}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    assert list(scripted(httpx.Response(200, text=text)).search_stream({})) == lines


def test_no_server_is_said_plainly() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(UnavailableError, match="HEADROOM_URL"):
        Headroom("http://x", transport=httpx.MockTransport(broken)).models()


class TestCommand:
    @pytest.fixture(autouse=True)
    def here(self, monkeypatch: pytest.MonkeyPatch, server: Headroom) -> None:
        monkeypatch.setattr(command, "Headroom", lambda url: server)

    def test_estimate(self, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "plan.json"
        file.write_text(json.dumps(ESTIMATE_EXAMPLE))
        assert command.main(["estimate", str(file)]) == 0
        assert "fits" in capsys.readouterr().out

    def test_a_list_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--json", "models", "gpt2"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["slug"] == "gpt2"

    def test_what_fails(self, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "plan.json"
        file.write_text("{}")
        assert command.main(["estimate", str(file)]) == 2
        assert "workload" in capsys.readouterr().err
        assert command.main(["estimate", str(tmp_path / "none")]) == 2

    def test_names_from_elsewhere_move_no_cursor(self) -> None:
        assert "\x1b" not in command.plain("\x1b[2Jgpt2")


def test_a_search_streams_from_the_server_itself(server: Headroom) -> None:
    *_, last = server.search_stream(SEARCH_EXAMPLE)
    assert last["best"] is not None
