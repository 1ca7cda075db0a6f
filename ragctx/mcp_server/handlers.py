"""Tools and resources as the SDK wants them; what goes wrong is told to the agent."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError

from ragctx import __version__
from ragctx.documents import Document, file_name
from ragctx.errors import InputError, RagctxError
from ragctx.index.store import SourceInfo
from ragctx.mcp_server.arguments import in_names_of, schema_of
from ragctx.mcp_server.calls import Call
from ragctx.mcp_server.changes import EVERY_S, Changes
from ragctx.mcp_server.documents import (
    DOCUMENT_TEMPLATE,
    MAX_DOCUMENT_CHARACTERS,
    MAX_LISTED,
    PAGE_TEMPLATE,
    listed,
    page_of,
    parsed,
    uri_of,
)
from ragctx.mcp_server.tools import INSTRUCTIONS, UNTRUSTED, Tool, Toolbox
from ragctx.text.display import one_line
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from ragctx.server.service import Service

MAX_AT_ONCE = 32
"""Calls that are worked on or wait for the model; one more is told to come again."""
STILL_EVERY_S = 5.0
"""Seconds between two signs of life to a client that asks for progress."""
TEXT = "text/plain"
T = TypeVar("T")
Context = ServerRequestContext[dict[str, object]]


class Handlers:
    """What the protocol asks for, over one toolbox."""

    def __init__(self, toolbox: Toolbox, max_at_once: int = MAX_AT_ONCE) -> None:
        self._toolbox = toolbox
        self._places = threading.BoundedSemaphore(max_at_once)
        self._turn = anyio.Lock()  # of calls that wait for the model, and take no thread meanwhile
        self._model = threading.Lock()

    # ---- tools -----------------------------------------------------------------------------

    async def list_tools(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """The tools with their schemas."""
        return types.ListToolsResult(tools=[_described(tool) for tool in self._toolbox.tools()])

    async def call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Do what a tool does. What goes wrong is told to the agent, with the remedy."""
        tool = next((tool for tool in self._toolbox.tools() if tool.name == params.name), None)
        if tool is None:
            names = ", ".join(tool.name for tool in self._toolbox.tools())
            raise MCPError(
                types.INVALID_PARAMS, f"there is no tool {params.name[:80]!r}; valid: {names}"
            )
        metrics = self._toolbox.metrics
        if not self._places.acquire(blocking=False):
            metrics.add_mcp_call(tool.name, "busy")
            return _failed("too many calls are being worked on; try again in a second")
        call = Call(
            tool=tool,
            arguments=params.arguments or {},
            model=self._model,
            free=self._places.release,
        )
        outcome = "left"
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_tell_still_working, context.session)
                result = await self._result(call)
                group.cancel_scope.cancel()
            outcome = "error" if result.is_error else "ok"
        finally:
            call.leave()
            metrics.add_mcp_call(tool.name, outcome)
        return result

    async def _result(self, call: Call) -> types.CallToolResult:
        try:
            if call.tool.waits:
                async with self._turn:
                    result = await _in_thread(call.run)
            else:
                result = await _in_thread(call.run)
        except RagctxError as error:
            return _failed(in_names_of(call.tool.parameters, str(error)))
        except LookupError as error:
            return _failed(str(error.args[0]))
        except OSError as error:
            return _failed(f"cannot write or read: {error.strerror or error}")
        return types.CallToolResult(
            content=[types.TextContent(text=text) for text in result.texts],
            structured_content=result.view,
        )

    # ---- resources -------------------------------------------------------------------------

    async def list_resources(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """The documents, a part of them at a time."""
        cursor = (params and params.cursor) or "0"
        if not cursor.isdecimal() or len(cursor) > 9:
            raise _refused(f"the cursor is {cursor[:40]!r}; give one that the server gave", "")
        start = int(cursor)
        sources = await self._told(lambda: listed(self._toolbox.get_service()))
        end = start + MAX_LISTED
        return types.ListResourcesResult(
            resources=[_resource_of(source) for source in sources[start:end]],
            next_cursor=str(end) if end < len(sources) else None,
        )

    async def list_resource_templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """How the addresses of documents and of pages are made."""
        templates = (
            ("document", DOCUMENT_TEMPLATE, "A document's text, page by page."),
            ("page", PAGE_TEMPLATE, "The text of one page; pages count from 1."),
        )
        return types.ListResourceTemplatesResult(
            resource_templates=[
                types.ResourceTemplate(
                    name=name,
                    uri_template=template,
                    description=f"{description} {UNTRUSTED}",
                    mime_type=TEXT,
                )
                for name, template, description in templates
            ]
        )

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """A page, or the pages of a document as far as they may be given at once."""
        uri = str(params.uri)
        return types.ReadResourceResult(
            contents=list(await self._told(lambda: self._contents(uri), uri))
        )

    def _contents(self, uri: str) -> Sequence[types.TextResourceContents]:
        document_id, number = parsed(uri)
        service = self._toolbox.get_service()
        sources = [s for s in service.sources() if s.document_id == document_id]
        if not sources:
            raise InputError(f"there is no document {document_id!r}; resources/list tells which")
        document = service.document(document_id)
        if number is None:
            return [_text(uri, _about(document, sources[0])), *_pages_of(document)]
        text = page_of(document, sources[0], number).text
        contents = [_text(uri, text[:MAX_DOCUMENT_CHARACTERS])]
        if len(text) > MAX_DOCUMENT_CHARACTERS:
            goes_on = f"Page {number} goes on: read_page with start={MAX_DOCUMENT_CHARACTERS}"
            contents.append(_text(uri_of(document_id), goes_on))
        return contents

    async def _told(self, work: Callable[[], T], uri: str = "") -> T:
        """What `work` gives, in a thread; its errors as those of the protocol."""
        try:
            return await _in_thread(work)
        except RagctxError as error:
            raise _refused(str(error), uri) from error
        except LookupError as error:
            raise _refused(str(error.args[0]), uri) from error


class _TellingServer(Server[dict[str, object]]):
    """A server that says to clients of the older protocol, too, that it tells of changes."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        options = notification_options or NotificationOptions(resources_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)


def create_server(
    toolbox: Toolbox, *, max_at_once: int = MAX_AT_ONCE, look_every_s: float = EVERY_S
) -> Server[dict[str, object]]:
    """The tools and resources as a server of the SDK, for any of its transports.

    While it serves, clients are told when the list of documents changes.

    >>> from mcp import Client
    >>> async def tools() -> list[str]:
    ...     async with Client(create_server(toolbox)) as client:
    ...         return [tool.name for tool in (await client.list_tools()).tools]
    """
    handlers = Handlers(toolbox, max_at_once)
    changes = Changes(lambda: _state_of(toolbox.get_service()), look_every_s)
    server = _TellingServer(
        "ragctx",
        version=__version__,
        title="Documents by ragctx",
        instructions=INSTRUCTIONS,
        lifespan=changes.watching,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_resource_templates,
        on_read_resource=handlers.read_resource,
        on_subscriptions_listen=changes.listen,
    )
    server.add_notification_handler(
        "notifications/initialized", types.NotificationParams, changes.remember
    )
    return server


def _state_of(service: Service) -> frozenset[tuple[str, str]]:
    """What the list of resources shows."""
    return frozenset((source.path, source.document_id) for source in service.sources())


async def _in_thread(work: Callable[..., T], *arguments: object) -> T:
    """`work` in a thread; who is cancelled does not wait for its end."""
    call = functools.partial(work, *arguments)
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)


async def _tell_still_working(session: ServerSession) -> None:
    """Signs of life, for clients that give up on a call that is silent for long."""
    began = anyio.current_time()
    while True:
        await anyio.sleep(STILL_EVERY_S)
        elapsed_s = anyio.current_time() - began
        await session.report_progress(elapsed_s, message=f"working, {elapsed_s:.0f} s")


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema_of(tool.parameters, tool.required),
        output_schema=_output_schemas()[tool.name],
        annotations=types.ToolAnnotations(
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


@functools.cache
def _output_schemas() -> dict[str, dict[str, object]]:
    """The schema of what each tool gives; `python -m docs.build` writes the file."""
    text = (files("ragctx.mcp_server") / "schemas.json").read_text(encoding="utf-8")
    schemas: dict[str, dict[str, object]] = json.loads(text)
    return schemas


def _failed(message: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=message)], is_error=True)


def _refused(message: str, uri: str) -> MCPError:
    return MCPError(types.INVALID_PARAMS, message, {"uri": uri} if uri else None)


def _resource_of(source: SourceInfo) -> types.Resource:
    title = f"{one_line(source.title, 200)}, " if source.title else ""
    return types.Resource(
        uri=uri_of(source.document_id),
        name=one_line(file_name(source.path), 200),
        description=f"{title}{counted(source.pages, source.unit)}",
        mime_type=TEXT,
    )


def _text(uri: str, text: str) -> types.TextResourceContents:
    return types.TextResourceContents(uri=uri, text=text, mime_type=TEXT)


def _about(document: Document, source: SourceInfo) -> str:
    """What a document is, and where to go on if not all of it is given."""
    name = one_line(file_name(source.path), 200)
    lines = [f"{name}: {counted(len(document.pages), source.unit)}. {UNTRUSTED}"]
    given = len(_pages_of(document))
    if given < len(document.pages):
        follow = f"Pages 1 to {given} follow; go" if given else "Go"
        lines.append(f"{follow} on at {uri_of(document.id, given + 1)}")
    return "\n".join(lines)


def _pages_of(document: Document) -> list[types.TextResourceContents]:
    """Its first pages, each whole and under its own address."""
    contents: list[types.TextResourceContents] = []
    left = MAX_DOCUMENT_CHARACTERS
    for page in document.pages[:MAX_LISTED]:
        left -= len(page.text)
        if left < 0:
            break
        contents.append(_text(uri_of(document.id, page.number), page.text))
    return contents
