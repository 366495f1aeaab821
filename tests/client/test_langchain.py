"""The LangChain example, driven by a model that follows a script: it plans a run and reads the trace."""

import importlib.util
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.wsgi import get_wsgi_application
from headroom_client import Headroom
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from planner.api.operations import ESTIMATE_EXAMPLE

pytestmark = pytest.mark.django_db
EXAMPLE = Path(__file__).resolve().parents[2] / "client" / "examples" / "langchain_tools.py"


def example() -> Any:
    spec = importlib.util.spec_from_file_location("langchain_tools", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def calls(name: str, **arguments: Any) -> AIMessage:
    return AIMessage(content="", tool_calls=[{"name": name, "args": arguments, "id": name}])


def test_a_scripted_model_plans_a_run() -> None:
    server = Headroom("http://localhost", transport=httpx.WSGITransport(get_wsgi_application()))
    tools = {tool.name: tool for tool in example().headroom_tools(server)}
    model = FakeMessagesListChatModel(
        responses=[
            calls("models", words="gpt2"),
            calls("estimate", question=ESTIMATE_EXAMPLE),
            AIMessage(content="It fits."),
        ]
    )
    said: list[BaseMessage] = [HumanMessage("Does GPT-2 fit one p4d.24xlarge?")]
    artifacts: dict[str, Any] = {}
    while True:
        answer = model.invoke(said)
        said.append(answer)
        if not answer.tool_calls:
            break
        for each in answer.tool_calls:
            artifacts[each["name"]] = tools[each["name"]].invoke(each["args"])
            said.append(ToolMessage(str(artifacts[each["name"]]), tool_call_id=each["id"]))
    assert said[-1].content == "It fits."
    assert artifacts["models"]["answer"]["models"][0]["slug"] == "gpt2"
    assert artifacts["estimate"]["answer"]["fits"] is True
    assert any(term["name"] == "weights" for term in artifacts["estimate"]["trace"])
