"""Documents for agents: tools and resources by the Model Context Protocol (MCP).

- `tokenizers`: the tokenizers that an agent may count with
- `arguments`, `parameters`: kinds of arguments, and what each tool takes
- `documents`: documents by name, pages of text, and their addresses
- `tools`: what there is to call, and what each call does
- `calls`: a call in a thread, which may be left
- `wording`: results in words, for the model that reads them
- `changes`: clients told when the documents change
- `handlers`: tools and resources as the SDK wants them
- `transports`: standard input and output, and streamable HTTP

Needs the extra `ragctx[mcp]`. (The package is not called `mcp`: that is the SDK.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.mcp_server.handlers import create_server as create_server
    from ragctx.mcp_server.tokenizers import NamedTokenizers as NamedTokenizers
    from ragctx.mcp_server.tools import Toolbox as Toolbox
    from ragctx.mcp_server.transports import create_mcp_app as create_mcp_app
    from ragctx.mcp_server.transports import serve_stdio as serve_stdio
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "NamedTokenizers": "ragctx.mcp_server.tokenizers",
            "Toolbox": "ragctx.mcp_server.tools",
            "create_mcp_app": "ragctx.mcp_server.transports",
            "create_server": "ragctx.mcp_server.handlers",
            "serve_stdio": "ragctx.mcp_server.transports",
        },
    )
