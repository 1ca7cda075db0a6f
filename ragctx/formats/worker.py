"""Reads one file in a process of its own: a request on standard input, one line of JSON as answer.

The parent (`ragctx.formats.process`) watches it. A parser that hangs, crashes or takes all memory
costs this process only.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from ragctx.bounded import end_with_parent, limit_memory
from ragctx.errors import DocumentError, MissingExtraError
from ragctx.file_formats import TextFormat
from ragctx.formats.blocks import Content

Reader = Callable[[bytes, str], Content]
_READERS: dict[TextFormat, tuple[str, str]] = {
    "text": ("plain", "read_plain"),
    "markdown": ("markdown", "read_markdown"),
    "html": ("html", "read_html"),
    "docx": ("docx", "read_docx"),
}


def main() -> None:
    """Serve one request."""
    request = json.loads(sys.stdin.readline())
    end_with_parent()
    limit_memory(int(request["memory_bytes"]))
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # C libraries may print, too
    warnings.simplefilter("ignore")
    stream.write(_answer(request) + "\n")
    stream.flush()
    os._exit(0)  # taking the libraries down in order can take long, and nobody waits for it


def reader_of(format: TextFormat) -> Reader:
    """The function that reads a format. Raises ImportError if its libraries are not installed."""
    module, name = _READERS[format]
    reader: Reader = getattr(import_module(f"ragctx.formats.{module}"), name)
    return reader


def _answer(request: dict[str, Any]) -> str:
    path = Path(request["path"])
    try:
        data = path.read_bytes()
        return reader_of(request["format"])(data, path.name).as_json()
    except DocumentError as error:
        return _failed(error.status, str(error))
    except MissingExtraError as error:
        return _failed("unreadable", str(error))
    except MemoryError:
        allowed = f"the {request['memory_bytes']} bytes of memory allowed"
        return _failed("too_large", f"{path.name} needs more than {allowed}")
    except OSError as error:
        return _failed("unreadable", f"{path.name} cannot be read ({error.strerror or error})")
    except Exception as error:  # whatever the libraries come upon in the file
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return _failed("corrupt", f"{path.name} is damaged ({why})")


def _failed(status: str, message: str) -> str:
    return json.dumps({"failed": status, "message": message})


if __name__ == "__main__":
    main()
