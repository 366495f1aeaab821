"""Headroom's tools for LangChain: the same answers with the same traces as over MCP.

from langchain_tools import headroom_tools
model.bind_tools(headroom_tools(Headroom()))
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from headroom_client import Headroom
from headroom_client.mcp_server import Tools
from langchain_core.tools import BaseTool, StructuredTool


def headroom_tools(server: Headroom) -> list[BaseTool]:
    """Tools that ask this server: estimate, search, mig and models."""
    tools = Tools(lambda: nullcontext(server))

    def estimate(question: dict[str, Any]) -> dict[str, Any]:
        """Does a training run fit, how long does it take, what does it cost? With the trace of it."""
        return tools.estimate(question)

    def search(question: dict[str, Any]) -> dict[str, Any]:
        """The best plans over many machines and layouts."""
        return tools.search(question)

    def mig(question: dict[str, Any]) -> dict[str, Any]:
        """Partitions of GPUs; commands are shown, never run."""
        return tools.mig(question)

    def models(words: str = "") -> dict[str, Any]:
        """Models of the catalog by words in their names."""
        return tools.rows("models", 0, q=words)

    return [StructuredTool.from_function(each) for each in (estimate, search, mig, models)]
