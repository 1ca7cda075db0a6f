"""`ragctx ask -i`: question after question over one session."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ragctx.cli.exit_codes import exit_code_of, say
from ragctx.cli.output import console, ledger_table
from ragctx.errors import InputError, RagctxError
from ragctx.file_formats import unit_of
from ragctx.server.conversation import leans
from ragctx.text.display import escape_unsafe, one_line
from ragctx.text.well_formed import well_formed

if TYPE_CHECKING:
    from ragctx.cli.session import Session
    from ragctx.records import Answer

HELP = """:page      the page that the answer is from, as it was read
:why       what became of each passage that was found
:k N       retrieve N passages from now on
:help      this list
:quit      end (also Ctrl-D)"""
_PROMPT = "? "


@dataclass(slots=True, kw_only=True)
class Dialogue:
    """What was asked and answered so far. `answer` asks the session, and prints."""

    session: Session
    answer: Callable[[str], Answer]
    asked: str = ""
    last: Answer | None = field(default=None)

    def run(self) -> None:
        """Take lines until there are no more; an error costs its line."""
        for line in _lines():
            if line in (":quit", ":q"):
                return
            try:
                self.take(line)
            except RagctxError as error:
                exit_code_of(error)

    def take(self, line: str) -> None:
        """Answer a question, or do what a command says."""
        if not line.startswith(":"):
            question = f"{self.asked} {line}" if self.asked and leans(line) else line
            if question != line:
                say(f"asked together with the question before: {one_line(question)}")
            self.last, self.asked = self.answer(question), line
            return
        command, _, value = line.partition(" ")
        if command == ":page":
            self._show_page()
        elif command == ":why":
            console().print(ledger_table(self._answered().prompt.ledger))
        elif command == ":k":
            self._retrieve(value)
        elif command == ":help":
            console().print(HELP, markup=False, highlight=False)
        else:
            raise InputError(f"{command} is no command; :help lists them")

    def _answered(self) -> Answer:
        if self.last is None:
            raise InputError("nothing was asked yet; type a question")
        return self.last

    def _show_page(self) -> None:
        answer = self._answered()
        places = [(citation.path, citation.first_page) for citation in answer.citations]
        places += [(hit.path, hit.chunk.first_page) for hit in answer.nearest]
        path, number = next(((p, n) for p, n in places if n is not None), ("", 0))
        ids = [s.document_id for s in self.session.index.sources() if s.path == path]
        document = self.session.index.document(ids[0]) if ids else None
        if document is None or not number:
            raise InputError("the answer is from no page")
        page = document.pages[number - 1]
        say(f"{one_line(path)}, {page.place(unit_of(path))}")
        console().print(escape_unsafe(page.text), markup=False)

    def _retrieve(self, value: str) -> None:
        if not value.strip().isdecimal() or not int(value):
            raise InputError(f":k {value!r}: give a number of passages, such as :k 10")
        self.session.retrieval = replace(self.session.retrieval, k=int(value))
        say(f"retrieving {int(value)} passages")


def _lines() -> Iterator[str]:
    """Lines that are typed, with a history, or piped; blank ones are left out."""
    is_typed = sys.stdin.isatty()
    if is_typed:
        say("type a question; :help lists commands")
        try:
            import readline  # noqa: F401  (gives `input` its history)
        except ImportError:  # not on Windows
            pass
    while True:
        try:
            line = input(_PROMPT) if is_typed else next(sys.stdin)
        except (EOFError, StopIteration):
            return
        line = well_formed(" ".join(line.split()))
        if line:
            yield line
