"""Laws of the command line: what it prints, where, and with which exit code.

Most run it in this process, with stand-ins for models and PDFs. `test_cli_program.py` runs the
program as a user does.
"""

from __future__ import annotations

import io
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ragctx.embedding
import ragctx.generator.load
import ragctx.ingestion.reading
from ragctx import retrieval
from ragctx.cli import session
from ragctx.cli.options import RETRIEVER_NAMES, SELECTOR_NAMES
from ragctx.cli.program import command_line, run
from ragctx.records import Prompt
from ragctx.selection import selectors
from tests.support.fakes import HashEmbedder
from tests.support.generators import CopyingGenerator, ScriptedGenerator
from tests.support.index_samples import segment_of
from tests.support.text_pdfs import TextReader, write

QUESTION = "At what temperature does tin melt?"


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on standard error."""
        [line] = self.err.splitlines()
        assert line.startswith("error: ")
        return line


Cli = Callable[..., Done]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> TextReader:
    made = TextReader()
    monkeypatch.setattr(ragctx.ingestion.reading, "read_pdf", made)
    return made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[ScriptedGenerator], ScriptedGenerator]:
    """Put a generator in the place of every model."""

    def use(generator: ScriptedGenerator) -> ScriptedGenerator:
        monkeypatch.setattr(ragctx.generator.load, "load_generator", lambda spec, **_: generator)
        return generator

    use(CopyingGenerator("232 degrees"))
    return use


@pytest.fixture
def cli(
    tmp_path: Path,
    reader: TextReader,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    """Runs a command in a folder with pdfs/tin.pdf and pdfs/iron.pdf."""
    write(tmp_path / "pdfs" / "tin.pdf", "About metals.", "Tin melts at 232 degrees. It is soft.")
    write(tmp_path / "pdfs" / "iron.pdf", "Iron melts at 1538 degrees. Cafés love [red]rust[/red].")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: HashEmbedder())

    def call(*arguments: str, stdin: str | None = None) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin) if stdin is not None else None)
        code = run(arguments)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """The same, with both PDFs in the default index."""
    assert cli("ingest", "pdfs").code == 0
    return cli


# --- help


@pytest.mark.parametrize(
    "command", [[], *([name] for name in command_line.commands), ["index", "list"]], ids=" ".join
)
def test_help_fits_eighty_columns(
    command: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = cli(*command, "--help")
    assert (done.code, done.err) == (0, "")
    examples = [line for line in done.out.splitlines() if " ragctx " in line]
    assert examples or command == ["index", "list"]
    assert max(len(line) for line in done.out.splitlines() if line not in examples) <= 80
    assert max(map(len, examples), default=0) <= 88


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    assert cli() == cli("--help")


def test_the_version_is_one_line(cli: Cli) -> None:
    assert cli("--version").out == f"ragctx {ragctx.__version__}\n"


def test_names_offered_are_those_of_the_library() -> None:
    # Help screens cannot ask modules that load numpy, so the names are written down twice.
    assert tuple(retrieval.RETRIEVERS) == RETRIEVER_NAMES
    assert tuple(selectors.SELECTORS) == SELECTOR_NAMES


# --- ingest


def test_ingesting_says_what_came_of_it(cli: Cli) -> None:
    done = cli("ingest", "pdfs")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("2 files: 2 added; 3 pages, ")
    assert done.out.splitlines()[1] == "index: indexes/default"
    assert cli("ingest", "pdfs").out.startswith("2 files: 2 unchanged; 0 pages, ")


def test_the_ledger_names_the_cause_it_knows(cli: Cli) -> None:
    write(Path("scan.pdf"), "", "")
    write(Path("half.pdf"), "Tin melts.", "", "")
    done = cli("ingest", "scan.pdf", "half.pdf")
    remedy = "this would read 2 pages: ragctx ingest scan.pdf --ocr auto --rebuild"
    assert f"pictures without text, OCR needed; {remedy}" in done.out
    assert "2 of 3 pages gave no text: pictures without text, OCR needed (pages 2, 3)" in done.out


def test_ingesting_gives_one_json_object(cli: Cli) -> None:
    view = cli("ingest", "pdfs", "--json", "--index", "mine").json
    assert [row["outcome"] for row in view["rows"]] == ["added", "added"]
    assert (view["files"], view["pages"], view["index"]) == (2, 3, "mine")


def test_a_file_that_fails_is_listed_and_the_rest_is_done(cli: Cli) -> None:
    write(Path("pdfs/locked.pdf"), "!encrypted")
    done = cli("ingest", "pdfs")
    assert done.code == 0
    assert "locked.pdf" in done.out and "do something" in done.out and "2 added" in done.out
    assert done.err == "1 file could not be read; the table says why\n"
    assert cli("ingest", "pdfs", "--strict").code == 1


def test_with_json_failures_are_also_lines_on_stderr(cli: Cli) -> None:
    write(Path("pdfs/locked.pdf"), "!encrypted")
    done = cli("ingest", "pdfs", "--json")
    assert done.code == 0 and done.json["files"] == 3
    assert done.err.startswith("failed: ") and done.err.count("\n") == 1


def test_when_nothing_can_be_read_ingesting_failed(cli: Cli) -> None:
    write(Path("locked.pdf"), "!encrypted")
    assert cli("ingest", "locked.pdf").code == 1


def test_a_password_comes_from_the_environment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("locked.pdf"), "!encrypted")
    monkeypatch.setenv("RAGCTX_PASSWORD", "open")
    assert cli("ingest", "locked.pdf").code == 0


def test_an_interrupted_run_says_what_was_kept_and_goes_on(cli: Cli) -> None:
    write(Path("pdfs/later.pdf"), "!interrupt")
    done = cli("ingest", "pdfs")
    assert done.code == 130
    assert "1 of 3 files are in indexes/default" in done.err
    write(Path("pdfs/later.pdf"), "At last.")
    assert cli("ingest", "pdfs").out.startswith("3 files: 2 added, 1 completed; ")


# --- search


def test_searching_shows_where_and_what(filled: Cli) -> None:
    done = filled("search", "tin melts", "-k", "2")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("1. tin.pdf, pages 1–2  RRF score 0.0")
    assert "Tin melts at 232 degrees." in done.out


def test_searching_gives_hits_as_json(filled: Cli) -> None:
    hits = filled("search", "tin melts", "--json", "--retriever", "lexical").json["hits"]
    assert [(hit["rank"], hit["document"]) for hit in hits] == [(1, "tin.pdf"), (2, "iron.pdf")]
    assert hits[0]["path"] == str(Path("pdfs/tin.pdf").absolute())


def test_only_the_named_document_and_pages_are_searched(filled: Cli) -> None:
    hits = filled("search", "melts", "--document", "iron.pdf", "--json").json["hits"]
    assert {hit["document"] for hit in hits} == {"iron.pdf"}
    hits = filled("search", "melts", "--pages", "2-", "--json").json["hits"]
    assert {hit["document"] for hit in hits} == {"tin.pdf"}


def test_finding_nothing_is_no_failure(filled: Cli) -> None:
    done = filled("search", "zebra", "--retriever", "lexical")
    assert (done.code, done.out) == (0, "")
    assert "nothing found" in done.err


def test_document_text_is_never_markup(filled: Cli) -> None:
    assert "Cafés love [red]rust[/red]." in filled("search", "rust", "-k", "1").out


def test_a_question_comes_from_stdin(filled: Cli) -> None:
    direct = filled("search", QUESTION, "--json").json
    assert filled("search", "-", "--json", stdin=f" {QUESTION}\n").json == direct
    assert filled("search", "--json", stdin=f"{QUESTION}\n").json == direct


# --- prompt


def test_the_prompt_alone_is_on_stdout_exactly_as_counted(filled: Cli) -> None:
    done = filled("prompt", QUESTION)
    view = filled("prompt", QUESTION, "--json").json
    assert (done.code, done.out) == (0, view["text"])
    assert done.err.startswith(f"{view['token_count']} tokens = instruction ")
    assert done.err.count("\n") == 1
    assert view["token_count"] + view["max_new_tokens"] <= view["context_window"] == 4096
    assert {row["outcome"] for row in view["ledger"]} == {"selected"}


def test_a_budget_is_kept(filled: Cli) -> None:
    view = filled("prompt", QUESTION, "--budget-tokens", "120", "--json").json
    assert view["token_count"] <= view["budget_tokens"] == 120


def test_a_prompt_goes_to_a_file(filled: Cli) -> None:
    done = filled("prompt", QUESTION, "--out", "prompt.txt", "--placement", "best_last")
    assert done.out == ""
    text = Path("prompt.txt").read_text("utf-8")
    assert text == filled("prompt", QUESTION, "--placement", "best_last").out


def test_a_template_of_ones_own_is_used(filled: Cli) -> None:
    Path("mine.prompt").write_text("{passages}<{text}>{/passages} Q: {question}", "utf-8")
    out = filled("prompt", QUESTION, "--template", "mine.prompt").out
    assert out.startswith("<") and out.endswith(f"> Q: {QUESTION}")


def test_a_placement_that_steps_in_is_named(filled: Cli) -> None:
    done = filled("prompt", QUESTION, "--placement", "calibrated")
    assert done.err.startswith("placement: edges instead of calibrated")


def test_a_placement_of_ones_own_is_a_function_in_a_file(filled: Cli) -> None:
    Path("orders.py").write_text("def backwards(hits):\n    return hits[::-1]\n", "utf-8")
    done = filled("prompt", QUESTION, "--placement", "orders.py:backwards")
    assert (done.code, len(done.err.splitlines())) == (0, 1)
    assert "backwards" in done.err
    assert done.out == filled("prompt", QUESTION, "--placement", "best_last").out


def test_a_placement_that_breaks_a_law_is_refused(filled: Cli) -> None:
    Path("orders.py").write_text("def only_best(hits):\n    return hits[:1]\n", "utf-8")
    done = filled("prompt", QUESTION, "--placement", "orders.py:only_best")
    assert (done.code, "no permutation: for ranks 1 2" in done.error) == (2, True)


# --- ask


def test_an_answer_comes_with_its_checked_source(filled: Cli, answers: object) -> None:
    done = filled("ask", QUESTION)
    assert (done.code, done.err) == (0, "")
    answer, rest = done.out.split("\n", 1)
    assert answer == "232 degrees"
    sure, rest = rest.split("\n", 1)
    assert sure == "sure (75 %)"
    assert rest.startswith(
        "\nSources\n[1] tin.pdf, page 2  quote found on this page\n    “Tin melts at 232"
    )


def test_an_answer_as_json(filled: Cli, answers: object) -> None:
    view = filled("ask", QUESTION, "--json").json
    assert (view["answer"], view["abstained"], view["model"]) == ("232 degrees", False, "copying")
    assert view["citations"][0]["status"] == "verified"
    assert view["timing"]["load_s"] > 0
    assert "ledger" not in view and "prompt" not in view


def test_a_source_that_does_not_say_it_is_marked(filled: Cli, answers: Any) -> None:
    answers(ScriptedGenerator("Tin melts at 9 degrees [1], or so [77]."))
    out = filled("ask", QUESTION).out
    assert "✗ not found on this page" in out and "[77]  ✗ no such passage" in out


def test_an_abstention_is_plain_and_has_its_own_exit_code(filled: Cli, answers: Any) -> None:
    answers(ScriptedGenerator(""))
    done = filled("ask", QUESTION)
    assert (done.code, done.err) == (3, "")
    assert done.out.splitlines()[0] == (
        "The documents do not answer this. (Chance that the best guess is right: 12 %.)"
    )
    done = filled("ask", QUESTION, "--json")
    assert (done.code, done.json["answer"], done.json["confidence"]) == (3, "", 0.125)


def test_a_weak_answer_is_marked_before_its_sources(filled: Cli, answers: Any) -> None:
    # How sure an answer is was shown on refusals only, and every wrong one was "✓ verified".
    answers(CopyingGenerator("232 degrees", confidence=0.41))
    lines = filled("ask", QUESTION).out.splitlines()
    assert lines[:3] == [
        "232 degrees",
        "unsure (41 %): only a guess, read the source",
        "",
    ]
    answers(CopyingGenerator("232 degrees", confidence=0.92))
    assert filled("ask", QUESTION).out.splitlines()[1] == "sure (92 %)"


GUESS = CopyingGenerator("232 degrees", confidence=0.41, others=["1538 degrees"])


def test_a_guess_comes_with_what_else_it_might_be(filled: Cli, answers: Any) -> None:
    answers(GUESS)
    done = filled("ask", QUESTION)
    assert done.code == 0
    assert "\nOr perhaps\n1538 degrees  (iron.pdf, page 1)\n    “" in done.out
    assert "1538 degrees" in done.out.partition("page 1)\n")[2].partition("\n\nSources\n")[0]
    view = filled("ask", QUESTION, "--json").json
    assert (view["outcome"], view["answer"], view["confidence"]) == ("unsure", "232 degrees", 0.41)
    (other,) = view["alternatives"]
    assert (other["answer"], other["is_conflict"]) == ("1538 degrees", False)
    assert (other["citation"]["document"], other["citation"]["status"]) == ("iron.pdf", "verified")


def test_a_sure_answer_is_not_muddied(filled: Cli, answers: Any) -> None:
    answers(CopyingGenerator("232 degrees", confidence=0.9, others=["1538 degrees"]))
    view = filled("ask", QUESTION, "--json").json
    assert (view["outcome"], view["alternatives"]) == ("sure", [])


def test_documents_that_contradict_each_other_are_told(filled: Cli, answers: Any) -> None:
    """However sure: the reader who sees one of them believes it."""
    write(Path("pdfs/old.pdf"), "Tin melts at 449 degrees.")
    assert filled("ingest", "pdfs").code == 0
    answers(CopyingGenerator("232", confidence=0.9, others=["449"]))
    out = filled("ask", QUESTION).out
    assert (
        "\nThe documents do not agree\nold.pdf, page 1 says otherwise: 449\n    “Tin melts" in out
    )


def test_strict_leaves_guesses_out(filled: Cli, answers: Any) -> None:
    answers(GUESS)
    done = filled("ask", QUESTION, "--strict")
    assert done.code == 3 and "232 degrees\n" not in done.out.split("Nearest passages")[0]
    assert done.out.startswith("The best answer found is only a guess (41 %).")
    view = filled("ask", QUESTION, "--strict", "--json").json
    assert (view["outcome"], view["refusal"]["reason"]) == ("not_in_documents", "unsure")
    assert view["nearest"] and not view["alternatives"]
    answers(CopyingGenerator("232 degrees", confidence=0.9))
    assert filled("ask", QUESTION, "--strict").code == 0


def test_the_scale_of_a_table_is_told_beside_its_number(filled: Cli, answers: Any) -> None:
    write(Path("pdfs/sales.pdf"), "Sales (in millions)\nTin $ 7,168 $ 6,000\nIron $ 12 $ 13")
    assert filled("ingest", "pdfs").code == 0
    answers(CopyingGenerator("$ 7,168"))
    assert filled("ask", "How large were the sales of tin?").out.startswith(
        "$ 7,168 (in millions)\nsure"
    )
    assert filled("ask", "How large were the sales?", "--json").json["scale"] == "in millions"


def test_only_the_bundled_reader_has_a_certainty_of_its_own(filled: Cli, answers: Any) -> None:
    Path("certainty.json").write_text("{}", "utf-8")
    answers(GUESS)
    done = filled("ask", QUESTION, "--certainty", "certainty.json")
    # `answers` puts the generator in the place of what --model names
    assert (done.code, done.out) == (2, "")
    assert "--certainty is for the bundled reader, and copying answers here" in done.err


def test_what_was_not_read_is_not_said_to_be_missing(cli: Cli, answers: Any) -> None:
    Path("empty").mkdir()
    write(Path("empty/scan.pdf"), "")
    assert cli("ingest", "empty").code in (0, 1)
    answers(CopyingGenerator())
    done = cli("ask", QUESTION, "--json")
    assert (done.code, done.json["outcome"]) == (1, "not_read")


def test_only_a_terminal_gets_styles_and_nothing_is_green(
    filled: Cli, answers: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in filled("ask", QUESTION).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = filled("ask", QUESTION).out
    assert "\x1b[1m232 degrees\x1b[0m" in out  # the answer, within its quote
    assert "\x1b[32m" not in out


def test_an_answer_below_the_least_confidence_is_a_refusal(filled: Cli, answers: object) -> None:
    assert filled("ask", QUESTION, "--min-confidence", "0.75").out.startswith("232 degrees\n")
    done = filled("ask", QUESTION, "--min-confidence", "0.8")
    assert done.code == 3 and "232 degrees\n" not in done.out.split("Nearest passages")[0]
    assert done.out.startswith("The best answer found is not sure enough: 75 % where")
    view = filled("ask", QUESTION, "--min-confidence", "0.8", "--json").json
    assert (view["abstained"], view["answer"], view["citations"]) == (True, "", [])
    assert view["refusal"]["reason"] == "below_min_confidence" and view["confidence"] == 0.75
    Path("batch.txt").write_text(QUESTION, "utf-8")
    assert filled("ask", "--batch", "batch.txt", "--min-confidence", "0.8").json["abstained"]


def test_a_model_that_does_not_tell_how_sure_it_is_cannot_be_held_to_it(
    filled: Cli, answers: Any
) -> None:
    answers(ScriptedGenerator("Tin melts at 232 degrees [1]."))
    done = filled("ask", QUESTION, "--min-confidence", "0.5")
    assert (done.code, done.out) == (2, "") and "leave out --min-confidence" in done.error
    assert "sure" not in filled("ask", QUESTION).out


def test_a_refusal_shows_the_nearest_passages(filled: Cli, answers: Any) -> None:
    answers(ScriptedGenerator(""))
    lines = filled("ask", QUESTION).out.splitlines()
    assert lines[2] == "Nearest passages" and lines[3] == "tin.pdf, pages 1–2"
    assert "Tin melts at 232 degrees." in lines[4]
    view = filled("ask", QUESTION, "--json").json
    assert view["refusal"]["reason"] == "not_answered"
    assert [hit["document"] for hit in view["nearest"]] == ["tin.pdf", "iron.pdf"]
    assert filled("ask", QUESTION, "--json", "-k", "1").json["nearest"][0]["first_page"] == 1


# --- "The documents do not answer this" was said of documents that nobody had read.


def test_an_empty_index_is_not_said_to_have_no_answer(filled: Cli, answers: Any) -> None:
    answers(ScriptedGenerator(""))
    for name in ("tin.pdf", "iron.pdf"):
        assert filled("index", "remove", name).code == 0
    done = filled("ask", QUESTION)
    assert done.code == 1 and done.out.startswith("The index has no documents")
    assert "ragctx ingest" in done.out


def test_a_floor_that_leaves_nothing_is_named(filled: Cli, answers: Any) -> None:
    answers(ScriptedGenerator(""))
    done = filled("ask", QUESTION, "--min-score", "0.0328")
    assert done.code == 1 and done.out.startswith("No passage reached --min-score (the best has 0.")
    assert "tin.pdf, pages 1–2" in done.out
    assert filled("ask", QUESTION, "--min-score", "0.0328", "--json").json["nearest"]


def test_a_scan_without_text_is_named_alone_and_among_others(cli: Cli, answers: Any) -> None:
    answers(ScriptedGenerator(""))
    write(Path("scan.pdf"), "", "")
    alone = cli("ask", QUESTION, "scan.pdf")
    assert alone.code == 1 and alone.out.startswith("Nothing could be read: scan.pdf has no text")
    among = cli("ask", QUESTION, "scan.pdf", "pdfs/tin.pdf")
    assert among.code == 3 and "Run OCR" in among.out and "tin.pdf, pages 1–2" in among.out
    assert among.out.startswith("The documents that could be read do not answer this. scan.pdf has")
    named = cli("ask", QUESTION, "scan.pdf", "pdfs/tin.pdf", "--document", "tin.pdf")
    assert named.out.startswith("The documents do not answer this.")


def test_a_question_in_another_language_is_told_what_the_reader_reads(
    filled: Cli, answers: Any
) -> None:
    english = ScriptedGenerator("")
    question = "À quelle température est-ce que l'étain fond ?"
    answers(english)
    assert filled("ask", question).out.startswith("The documents do not answer this.")
    english.only_language = "English"
    done = filled("ask", question)
    assert done.code == 1 and "seems to be in French" in done.out
    assert "reads English only" in done.out and "Nearest passages" in done.out


def test_words_that_no_passage_has_are_said_to_have_found_nothing(
    filled: Cli, answers: Any
) -> None:
    answers(ScriptedGenerator(""))
    done = filled("ask", "zinc?", "--retriever", "lexical")
    assert done.code == 1 and done.out.startswith("No passage was found")


def test_the_prompt_and_the_ledger_can_be_seen(filled: Cli, answers: Any) -> None:
    generator = answers(CopyingGenerator("232 degrees"))
    done = filled("ask", QUESTION, "--show-prompt", "--explain")
    assert generator.prompts[0].text in done.err and "selected" in done.err
    assert "selected" not in done.out
    view = filled("ask", QUESTION, "--show-prompt", "--explain", "--json").json
    assert view["prompt"]["text"] == generator.prompts[0].text
    assert view["ledger"] == view["prompt"]["ledger"]


@pytest.mark.parametrize("command", ["search", "prompt", "explain"])
def test_every_command_that_searches_takes_pdfs(command: str, cli: Cli, reader: TextReader) -> None:
    # `search` and `prompt` took "pdfs/tin.pdf" for an unexpected extra argument.
    done = cli(command, QUESTION, "pdfs/tin.pdf")
    assert done.code == 0 and "tin.pdf" in done.out and "iron.pdf" not in done.out
    assert reader.read == ["tin.pdf"] and not Path("indexes").exists()
    both = cli(command, QUESTION, "pdfs/tin.pdf", "--index", "mine")
    assert (both.code, "not both" in both.error) == (2, True)


def test_a_part_of_a_name_limits_the_search(filled: Cli) -> None:
    for wanted in ("TIN", "pdfs/t*.pdf", "in.p"):
        done = filled("search", QUESTION, "--document", wanted, "--json")
        assert {hit["document"] for hit in done.json["hits"]} == {"tin.pdf"}, wanted


def test_named_pdfs_are_read_once(cli: Cli, answers: object, reader: TextReader) -> None:
    for _ in range(2):
        done = cli("ask", QUESTION, "pdfs/tin.pdf")
        assert (done.code, done.err) == (0, "")
    assert reader.read == ["tin.pdf"]
    assert not Path("indexes").exists()


def test_a_pdf_that_cannot_be_read_is_named_and_the_rest_is_asked(
    cli: Cli, answers: object
) -> None:
    write(Path("locked.pdf"), "!encrypted")
    done = cli("ask", QUESTION, "locked.pdf", "pdfs/tin.pdf")
    assert done.code == 0
    assert "locked.pdf is encrypted" in done.err
    alone = cli("ask", QUESTION, "locked.pdf")
    assert alone.code == 1
    assert alone.err.splitlines()[-1].startswith("error: none of the files could be read")


def test_a_question_piped_in_is_asked_of_named_pdfs(cli: Cli, answers: object) -> None:
    assert cli("ask", "-", "pdfs/tin.pdf", stdin=QUESTION).out.startswith("232 degrees\n")


def test_a_forgotten_question_is_noticed(cli: Cli, answers: object) -> None:
    done = cli("ask", "pdfs/tin.pdf")
    assert done.code == 2
    assert "is a file, not a question" in done.error


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("options", [(), ("--tokenizer", "bundled")])
def test_a_model_on_a_server_needs_the_server(filled: Cli, options: tuple[str, ...]) -> None:
    """Without a tokenizer it is the first to be asked, how it counts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        model = f"http://127.0.0.1:{taken.getsockname()[1]}/v1#tiny"
    done = filled("ask", QUESTION, "--model", model, *options)
    assert (done.code, "no server answers at http://127.0.0.1:" in done.error) == (1, True)


# --- batch


def test_a_batch_gives_a_row_for_every_line(filled: Cli, answers: object) -> None:
    lines = [
        QUESTION,
        "",
        json.dumps({"question": QUESTION, "id": "q2"}),
        '{"question": ',
        '{"questions": "wrong key"}',
        "[not JSON, but a question]",
    ]
    Path("batch.txt").write_bytes("\n".join(lines).encode() + b"\n\xff\xfe broken\n" + b'{"a": [')
    done = filled("ask", "--batch", "batch.txt")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [row["line"] for row in rows] == [1, 3, 4, 5, 6, 7, 8]
    assert ["error" in row for row in rows] == [False, False, True, True, False, True, True]
    assert rows[1]["id"] == "q2" and rows[0]["answer"] == "232 degrees"
    assert rows[4]["question"] == "[not JSON, but a question]"
    assert done.err == "4 lines of 7 could not be answered\n"


def test_a_batch_goes_on_whatever_a_question_does(filled: Cli, answers: Any) -> None:
    class Touchy(CopyingGenerator):
        def generate(self, prompt: Prompt, **settings: Any) -> Any:
            if "bad" in prompt.question:
                raise RuntimeError("no")
            return super().generate(prompt, **settings)

    answers(Touchy("232 degrees"))
    Path("batch.txt").write_text(f"bad one\n{QUESTION}\n", "utf-8")
    done = filled("ask", "--batch", "batch.txt")
    first, second = map(json.loads, done.out.splitlines())
    assert first["error"] == "unexpected RuntimeError: no"
    assert (done.code, second["answer"]) == (0, "232 degrees")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_a_batch_may_be_utf_16_as_windows_writes_it(
    filled: Cli, answers: object, encoding: str
) -> None:
    # A file that Notepad saved as "Unicode" was cut at each byte 0A into halves of letters: an
    # error for the first line, and then an "answer" to the question "\\x00".
    Path("batch.txt").write_bytes(f"{QUESTION}\r\n\u010aWho?\r\n".encode(encoding))
    rows = [json.loads(line) for line in filled("ask", "--batch", "batch.txt").out.splitlines()]
    assert [row["question"] for row in rows] == [QUESTION, "\u010aWho?"]


def test_a_batch_shows_the_time_left_on_a_terminal_and_keeps_its_rows(
    filled: Cli, answers: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("batch.txt").write_text(f"{QUESTION}\n\n{QUESTION}\n", "utf-8")
    assert filled("ask", "--batch", "batch.txt").err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    done = filled("ask", "--batch", "batch.txt")
    assert "2/2" in done.err and "answering" in done.err and "left" in done.err
    assert [json.loads(line)["answer"] for line in done.out.splitlines()] == ["232 degrees"] * 2
    piped = filled("ask", "--batch", "-", stdin=QUESTION)
    assert "answering" not in piped.err  # nobody knows how many there will be


def test_a_batch_without_a_single_answer_failed(filled: Cli, answers: object) -> None:
    Path("batch.txt").write_text("{\n", "utf-8")
    assert filled("ask", "--batch", "batch.txt").code == 1


def test_a_batch_can_ask_named_pdfs(cli: Cli, answers: object, reader: TextReader) -> None:
    Path("batch.txt").write_text(f"{QUESTION}\n{QUESTION}\n", "utf-8")
    done = cli("ask", "--batch", "batch.txt", "pdfs/tin.pdf", "pdfs/iron.pdf")
    assert len(done.out.splitlines()) == 2
    assert sorted(reader.read) == ["iron.pdf", "tin.pdf"]


# --- index


def test_an_index_tells_about_itself(filled: Cli) -> None:
    info = filled("index", "info", "--json").json
    assert (info["documents"], info["pages"], info["embedder"]) == (2, 3, "hash@1")
    assert "hash@1" in filled("index", "info").out
    assert filled("index", "info", "indexes/default").out == filled("index", "info").out


def test_an_index_lists_its_documents(filled: Cli) -> None:
    sources = filled("index", "list", "--json").json["sources"]
    assert [Path(source["path"]).name for source in sources] == ["iron.pdf", "tin.pdf"]
    assert "iron.pdf" in filled("index", "list").out


def test_documents_are_removed_by_name_and_unknown_ones_named(filled: Cli) -> None:
    done = filled("index", "remove", "gold.pdf")
    assert done.code == 2 and "'gold.pdf'" in done.error and "iron.pdf" in done.error
    done = filled("index", "remove", "tin.pdf")
    assert done.out == "removed pdfs/tin.pdf\n"
    assert filled("index", "info", "--json").json["documents"] == 1


def test_a_sound_index_is_verified_and_a_damaged_one_repaired(filled: Cli) -> None:
    assert filled("index", "verify").out == "sound\n"
    segment_of(Path("indexes/default")).write_bytes(b"nonsense")
    done = filled("index", "verify")
    assert done.code == 1 and done.out.startswith("vectors: ")
    assert "ragctx index repair indexes/default" in done.err
    assert filled("index", "verify", "--json").json["sound"] is False
    assert filled("index", "repair").code == 0
    assert filled("index", "verify").code == 0


def test_an_index_is_compacted_and_its_recall_measured(filled: Cli) -> None:
    folder = Path("indexes/default")
    done = filled("index", "compact")
    assert done.code == 0 and "1 now" in done.out
    done = filled("index", "info", "--recall")
    assert "1.000 of the 10 nearest chunks found" in done.out and not done.err
    segment_of(folder).unlink()
    done = filled("index", "info")
    assert "No such file" in done.err and "ragctx index repair indexes/default" in done.err
    assert filled("search", "iron", "--json").json["hits"]
    assert filled("index", "compact", "--json").json["segments"] == 1
    assert filled("index", "verify").out == "sound\n"


def test_the_recall_of_an_empty_index_is_no_number(filled: Cli) -> None:
    for name in ("iron.pdf", "tin.pdf"):
        filled("index", "remove", name)
    done = filled("index", "info", "--recall")
    assert done.code == 2 and "holds no vectors" in done.error


# --- what cannot be


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["search", ""], 2, ["question is empty"]),
        (["search"], 2, ["no question was given", "ragctx ask"]),
        (["search", "q", "-k", "0"], 2, ["'-k'", "0", "x>=1"]),
        (["search", "q", "--retriever", "psychic"], 2, ["'psychic'", "'hybrid'", "'lexical'"]),
        (["search", "q", "--pages", "7-3"], 2, ["'7-3'"]),
        (["search", "q", "--pages", "ten"], 2, ["'ten'", "3-7"]),
        (["search", "q", "--mmr", "2"], 2, ["2", "0<=x<=1"]),
        (["search", "q", "--document", "gold.pdf"], 2, ["'gold.pdf'", "tin.pdf"]),
        (["search", "q", "--index", "none"], 1, ["no index in none", "ragctx ingest"]),
        (["prompt", "q", "--placement", "sideways"], 2, ["'sideways'", "'edges'", "'best_last'"]),
        (["prompt", "q", "--select", "all"], 2, ["'all'", "'knapsack'"]),
        (["prompt", "q", "--template", "none"], 2, ["'none'", "qa", "reader"]),
        (["prompt", "q", "--tokenizer", "none"], 2, ["'none'", "bundled", "tiktoken:"]),
        (["prompt", "q", "--budget-tokens", "0"], 2, ["0", "x>=1"]),
        (["prompt", "q", "--budget-tokens", "5"], 2, ["budget of 5", "template", "more than"]),
        (["prompt", "q", "--context-window", "64"], 2, ["context_window is 64", "256"]),
        (["prompt", "q", "--budget-tokens", "4000"], 2, ["4000", "4096", "--context-window"]),
        (["prompt", "q", "--budget-tokens", "74"], 1, ["no passage fits", "--budget-tokens to"]),
        (["prompt", "q", "--out", "no/such/folder"], 1, ["No such file", "no/such/folder"]),
        (["ask", "q", "--index", "x", "a.pdf"], 2, ["files or --index"]),
        (["ask", "q", "gone.pdf"], 2, ["'gone.pdf' does not exist"]),
        (["ask", "q", "--batch", "gone.txt"], 2, ["gone.txt"]),
        (["ask", "q", "--context-window", "9999"], 2, ["9999", "4096"]),
        (["ingest"], 2, ["PATH", "ragctx ingest --help"]),
        (["ingest", "gone"], 2, ["'gone' does not exist"]),
        (["ingest", "pdfs", "--chunk-tokens", "3"], 2, ["chunk_tokens is 3", "254"]),
        (["ingest", "pdfs", "--reader", "eyes"], 2, ["'eyes'", "'pdfium'"]),
        (["index", "verify", "none"], 1, ["none", "ragctx ingest"]),
        (["index", "dance"], 2, ["'dance'"]),
        (["--nonsense"], 2, ["--nonsense", "ragctx --help"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_one_line_with_value_and_remedy(
    filled: Cli, answers: object, arguments: list[str], code: int, parts: list[str]
) -> None:
    done = filled(*arguments)
    assert (done.code, done.out) == (code, "")
    assert [part for part in parts if part not in done.error] == []


def test_an_index_of_another_embedder_is_refused(
    filled: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = HashEmbedder(id="other@2")
    monkeypatch.setattr(ragctx.embedding, "load_embedder", lambda spec: other)
    done = filled("search", "q")
    assert done.code == 1
    assert "hash@1" in done.error and "other@2" in done.error


def test_a_locked_index_is_waited_for_a_while_and_can_still_be_searched(
    filled: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragctx.index.index import Index

    monkeypatch.setattr(session, "WAIT_S", 0.2)
    with Index.open("indexes/default").writer():
        done = filled("ingest", "pdfs")
        assert done.code == 1
        assert filled("search", "tin").code == 0
    waiting, error = done.err.splitlines()
    assert waiting == "waiting for another process that writes to this index (0.2 s at most)"
    assert error.startswith("error: ") and "indexes/default" in error


def test_an_unexpected_error_is_one_line_and_debug_shows_its_place(
    filled: Cli, answers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(ScriptedGenerator):
        def generate(self, prompt: Prompt, **settings: Any) -> Any:
            raise ZeroDivisionError("two\nlines")

    answers(Broken())
    done = filled("ask", QUESTION)
    assert done.code == 1
    assert "unexpected ZeroDivisionError: two lines; set RAGCTX_DEBUG=1" in done.error
    monkeypatch.setenv("RAGCTX_DEBUG", "1")
    assert "Traceback" in filled("ask", QUESTION).err


def test_an_interrupted_answer_ends_with_130(filled: Cli, answers: Any) -> None:
    class Interrupted(ScriptedGenerator):
        def generate(self, prompt: Prompt, **settings: Any) -> Any:
            raise KeyboardInterrupt

    answers(Interrupted())
    done = filled("ask", QUESTION)
    assert (done.code, done.err.split()) == (130, ["interrupted"])
    Path("batch.txt").write_text(QUESTION, "utf-8")
    done = filled("ask", "--batch", "batch.txt")
    assert (done.code, "0 lines answered and written" in done.err) == (130, True)


# --- explain


def test_explaining_shows_every_candidate_and_a_picture(filled: Cli) -> None:
    done = filled("explain", QUESTION)
    assert (done.code, done.err) == (0, "")
    assert "for the answer <= window 4096" in done.out
    assert "|" in done.out and "tin.pdf, pages 1–2" in done.out
    assert [line.split()[3] for line in done.out.splitlines() if " fits: " in line] == [
        "selected",
        "selected",
    ]


def test_explaining_a_tight_budget_says_what_would_enter_next(filled: Cli) -> None:
    done = filled("explain", QUESTION, "--template", "plain", "--budget-tokens", "30", "--json")
    fates = {fate["document"]: fate for fate in done.json["candidates"]}
    [gone] = [name for name, fate in fates.items() if fate["outcome"] == "dropped"]
    more = fates[gone]["tokens_to_enter"]
    assert fates[gone]["label"] == "" and more > 0
    for extra, outcome in ((more, "selected"), (more - 1, "dropped")):
        again = filled(
            "explain", QUESTION, "--template", "plain", "--budget-tokens", str(30 + extra), "--json"
        )
        assert {f["document"]: f["outcome"] for f in again.json["candidates"]}[gone] == outcome


def test_explaining_writes_a_page(filled: Cli) -> None:
    done = filled("explain", QUESTION, "pdfs/tin.pdf", "--html", "why.html")
    assert (done.code, done.out, done.err) == (0, "", "wrote why.html\n")
    page = Path("why.html").read_text("utf-8")
    assert page.startswith("<!doctype html>") and "Tin melts at 232 degrees." in page


def test_explain_and_prompt_agree(filled: Cli) -> None:
    options = (QUESTION, "--max-chunks", "1", "--select", "knapsack", "--json")
    prompt, why = filled("prompt", *options).json, filled("explain", *options).json
    assert why["certificate"] == prompt["certificate"]
    assert [fate["outcome"] for fate in why["candidates"]] == [
        row["outcome"] for row in prompt["ledger"]
    ]


def test_a_floor_is_a_number_or_auto(filled: Cli) -> None:
    view = filled("prompt", QUESTION, "--min-score", "0.0328", "--json").json
    assert [row["outcome"] for row in view["ledger"]] == ["dropped", "dropped"]
    assert filled("prompt", QUESTION, "--min-score", "auto").code == 0
    done = filled("prompt", QUESTION, "--min-score", "high")
    assert done.code == 2 and "'high' is neither a number such as 0.3 nor auto" in done.error


# --- `--min-score 0.3` was compared with fused ranks, which end at 0.0328: nothing was ever left.


@pytest.mark.parametrize("command", ["ask", "prompt", "explain"])
def test_a_floor_beyond_the_retrievers_scale_is_misuse_and_says_what_reaches(
    filled: Cli, answers: Any, command: str
) -> None:
    answers(ScriptedGenerator(""))
    done = filled(command, QUESTION, "--min-score", "0.3")
    assert done.code == 2 and "RRF scores, from 0 to 0.0328" in done.error
    assert filled(command, QUESTION, "--min-score", "0.3", "--retriever", "dense").code != 2


@pytest.mark.parametrize(
    ("retriever", "name"), [("hybrid", "RRF score"), ("dense", "cosine"), ("lexical", "BM25")]
)
def test_explain_and_search_call_scores_by_their_name(
    filled: Cli, retriever: str, name: str
) -> None:
    options = (QUESTION, "--retriever", retriever)
    assert name in filled("explain", *options).out
    assert name in filled("search", *options).out
    assert name in filled("explain", *options, "--json").json["score_name"]


def test_explain_takes_pdfs_or_an_index(filled: Cli) -> None:
    done = filled("explain", QUESTION, "pdfs/tin.pdf", "--index", "indexes/default")
    assert done.code == 2 and "not both" in done.error
