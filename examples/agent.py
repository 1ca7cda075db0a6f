"""Be an agent: start `ragctx mcp` on the samples, and take a context that fits a budget.

python examples/agent.py ["A question"]      (needs the extra ragctx[mcp])
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from mcp import Client, StdioServerParameters

SAMPLES = Path(__file__).parent / "samples"
QUESTION = "How far from a power line must the mast be kept?"


async def main(question: str = QUESTION) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = StdioServerParameters(
            command=sys.executable,
            args=["-m", "ragctx", "mcp", str(SAMPLES), "--index", f"{folder}/index"],
            env=dict(os.environ),
        )
        async with Client(program) as client:
            print("tools:", ", ".join(tool.name for tool in (await client.list_tools()).tools))
            answer = await client.call_tool("ask", {"question": question})
            print("\nask:", *(block.text for block in answer.content), sep="\n")
            wanted = {"question": question, "budget_tokens": 400, "tokenizer": "bundled"}
            context = await client.call_tool("assemble", wanted)
            text, told = (block.text for block in context.content)
            print(f"\nassemble:\n{text}\n{told}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
