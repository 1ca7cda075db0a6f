"""What stands in for `llama-server` on the path in tests: a program that answers as it does.

Tokens are characters, the chat template is ChatML, the answer always the same. A model file that
holds "broken" cannot be loaded; one that holds "slow" never is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ANSWER = "The filter is cleaned every week [1]."


class Llama(BaseHTTPRequestHandler):
    loaded_at = 0.0
    window = 4096

    def do_GET(self) -> None:
        if time.monotonic() < self.loaded_at:
            self.reply({"error": {"message": "Loading model"}}, 503)
        elif self.path == "/health":
            self.reply({"status": "ok"})
        elif self.path == "/props":
            self.reply({"default_generation_settings": {"n_ctx": self.window}})
        else:
            self.reply({}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {os.environ['LLAMA_API_KEY']}":
            self.reply({"error": {"message": "Invalid API Key"}}, 401)
        elif self.path == "/tokenize":
            self.reply({"tokens": [*map(ord, body["content"])]})
        elif self.path == "/detokenize":
            self.reply({"content": "".join(map(chr, body["tokens"]))})
        elif self.path == "/apply-template":
            self.reply({"prompt": rendered(body["messages"])})
        elif self.path == "/v1/chat/completions":
            self.answer(body)
        else:
            self.reply({}, 404)

    def answer(self, body: dict[str, Any]) -> None:
        tokens = len(rendered(body["messages"]))
        usage = {"prompt_tokens": tokens, "completion_tokens": len(ANSWER)}
        choice = {"index": 0, "delta": {"content": ANSWER}, "finish_reason": "stop"}
        event = json.dumps({"choices": [choice], "usage": usage})
        self.send(f"data: {event}\n\ndata: [DONE]\n\n", 200, "text/event-stream")

    def reply(self, value: object, status: int = 200) -> None:
        self.send(json.dumps(value), status, "application/json")

    def send(self, text: str, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def rendered(messages: list[dict[str, str]]) -> str:
    turns = (f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return "".join(turns) + "<|im_start|>assistant\n"


def main(arguments: list[str]) -> None:
    told = dict(zip(arguments[::2], arguments[1::2], strict=False))
    model = Path(told["--model"]).read_bytes()
    if b"broken" in model:
        sys.exit("error: tensor 'blk.0.attn_q.weight' is out of bounds")
    unfinished = Path(told["--model"]).parent / "server.pid.part"
    unfinished.write_text(str(os.getpid()))
    unfinished.rename(unfinished.with_suffix(""))  # at once, for whoever waits for it
    Llama.loaded_at = time.monotonic() + (1e6 if b"slow" in model else 0.2)
    Llama.window = int(told["--ctx-size"]) or 4096
    ThreadingHTTPServer((told["--host"], int(told["--port"])), Llama).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
