"""What docs/mcp.md tells programs of agents to start can be started, and its limits are true."""

from __future__ import annotations

import json
from typing import Any

from ragctx.mcp_server.documents import MAX_DOCUMENT_CHARACTERS, MAX_LISTED, MAX_PAGE_CHARACTERS
from ragctx.mcp_server.handlers import MAX_AT_ONCE
from ragctx.mcp_server.parameters import MAX_SEARCH_K
from ragctx.mcp_server.tools import ASSEMBLE_K, Toolbox
from ragctx.mcp_server.transports import PATH
from ragctx.server.bodies import MAX_QUESTION_CHARACTERS
from tests.house.test_docs import blocks_of, check_command
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "mcp.md").read_text("utf-8")


def test_the_configurations_start_what_can_be_started() -> None:
    found: list[dict[str, Any]] = [
        json.loads(block.text) for block in blocks_of(PAGE) if block.language == "json"
    ]
    servers = [server for one in found for servers in one.values() for server in servers.values()]
    assert len(servers) == 3
    for server in servers:
        if "url" in server:
            assert server["url"].endswith(PATH) and server["headers"]["Authorization"]
        else:
            assert server["command"].startswith("/") and server["command"].endswith("/ragctx")
            check_command(["ragctx", *server["args"]])


def test_the_page_tells_all_tools_and_arguments(toolbox: Toolbox) -> None:
    for tool in toolbox.tools():
        assert f"| `{tool.name}` |" in PAGE
        missing = [name for name in tool.parameters if f"`{name}`" not in PAGE]
        assert not missing, missing


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    for limit, words in (
        (MAX_SEARCH_K, "`k` ({:,} at most)"),
        (MAX_PAGE_CHARACTERS, "{:,} characters at most"),
        (MAX_DOCUMENT_CHARACTERS, "{:,}\ncharacters at most"),
        (MAX_LISTED, "pages, {:,} at most"),
        (ASSEMBLE_K, "choose from, {:,} by default"),
        (MAX_QUESTION_CHARACTERS, "Questions have {:,} characters at most"),
        (MAX_AT_ONCE, "{:,} calls may wait"),
    ):
        assert words.format(limit) in PAGE, words
