"""`ragctx ask -i`: question after question over one session."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ragctx.cli.exit_codes import exit_code_of, say
from ragctx.cli.output import console, ledger_table
from ragctx.errors import InputError, RagctxError
from ragctx.file_formats import unit_of
from ragctx.follow_ups import Turn, standalone
from ragctx.text.display import escape_unsafe, one_line
from ragctx.text.well_formed import well_formed
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from rich.text import Text

    from ragctx.cli.session import Session
    from ragctx.generator.protocol import Generator
    from ragctx.records import Answer

HELP = """:page [N]  the page that the answer is from, as it was read, or page N of that document
:why       what became of each passage that was found
:k N       retrieve N passages from now on
:new       forget what was asked before
:help      this list
:quit      end (also Ctrl-D); Ctrl-C stops an answer"""
_PROMPT = "? "


@dataclass(slots=True, kw_only=True)
class Dialogue:
    """What was asked and answered so far. `answer` asks the session, and prints.

    `writer` makes a question that leans on those before stand by itself, or a rule does.
    """

    session: Session
    answer: Callable[[str], Answer]
    writer: Generator | None = None
    earlier: list[Turn] = field(default_factory=list)
    last: Answer | None = None

    def run(self) -> None:
        """Take lines until there are no more; an error costs its line, and so does Ctrl-C."""
        is_typed = sys.stdin.isatty()
        if is_typed:
            _prepare_typing()
        while True:
            try:
                line = _next_line(is_typed)
                if line is None or line in (":quit", ":q"):
                    return
                if line:
                    self.take(line)
            except RagctxError as error:
                exit_code_of(error)
            except KeyboardInterrupt:
                if not is_typed:
                    raise
                print(file=sys.stderr)  # the terminal has just written ^C
                say("stopped; Ctrl-D ends")

    def take(self, line: str) -> None:
        """Answer a question, or do what a command says."""
        command, _, value = line.partition(" ")
        if not command.startswith(":"):
            self._ask(line)
        elif command == ":page":
            self._show_page(value.strip())
        elif command == ":why":
            console().print(ledger_table(self._answered().prompt.ledger))
        elif command == ":k":
            self._retrieve(value)
        elif command == ":new":
            self.earlier, self.last = [], None
        elif command == ":help":
            console().print(HELP, markup=False, highlight=False)
        else:
            raise InputError(f"{command} is no command; :help lists them")

    def _ask(self, line: str) -> None:
        question = standalone(line, self.earlier, self.writer)
        if question != line:
            say(f"asked as: {one_line(question)}  (:new forgets what was asked before)")
        self.last = self.answer(question)
        self.earlier.append(Turn(line, self.last.text))

    def _answered(self) -> Answer:
        if self.last is None:
            raise InputError("nothing was asked yet; type a question")
        return self.last

    def _show_page(self, wanted: str) -> None:
        answer = self._answered()
        places = [(one.path, one.first_page, one.quote) for one in answer.citations]
        places += [(hit.path, hit.chunk.first_page, hit.chunk.text) for hit in answer.nearest]
        path, number, quote = next((place for place in places if place[1]), ("", None, ""))
        ids = [s.document_id for s in self.session.index.sources() if s.path == path]
        document = self.session.index.document(ids[0]) if ids else None
        if document is None or number is None:
            raise InputError("the answer is from no page")
        if wanted:
            if not wanted.isdecimal() or not 0 < int(wanted) <= len(document.pages):
                all_of_it = counted(len(document.pages), unit_of(path))
                raise InputError(f":page {wanted}: {document.name} has {all_of_it}")
            number = int(wanted)
        page, count = document.pages[number - 1], len(document.pages)
        say(f"{one_line(path)}, {page.place(unit_of(path))} ({number} of {count})")
        console().print(_marked(page.text, quote))

    def _retrieve(self, value: str) -> None:
        if not value.strip().isdecimal() or not int(value):
            raise InputError(f":k {value!r}: give a number of passages, such as :k 10")
        self.session.retrieval = replace(self.session.retrieval, k=int(value))
        say(f"retrieving {int(value)} passages")


def _marked(text: str, quote: str) -> Text:
    """A page's text, with the quote marked where it is on it."""
    from rich.text import Text

    before, found, after = text.partition(quote) if quote else (text, "", "")
    marked = Text(escape_unsafe(before))
    marked.append(escape_unsafe(found), style="bold reverse")
    return marked.append(escape_unsafe(after))


def _prepare_typing() -> None:
    say("type a question; :help lists commands")
    try:
        import readline  # noqa: F401  (gives `input` its history)
    except ImportError:  # not on Windows
        pass


def _next_line(is_typed: bool) -> str | None:
    """The next line that is typed, or piped; None at the end."""
    try:
        line = input(_PROMPT) if is_typed else next(sys.stdin)
    except (EOFError, StopIteration):
        if is_typed:
            print(file=sys.stderr)  # so that the shell's prompt begins a line
        return None
    return well_formed(" ".join(line.split()))
