"""The JSON of every command is what docs/json.md and docs/schemas say, field for field.

The schemas are checked closed: a field that they do not tell of fails here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from pypdf import PdfReader, PdfWriter

import ragctx.embedding
import ragctx.generator.load
from docs import build_json
from docs.json_shapes import SHAPES
from ragctx.cli.program import command_line, run
from tests.support.index_samples import segment_of
from tests.support.paths import SAMPLES

jsonschema = pytest.importorskip("jsonschema")

QUESTION = "How many visits did the libraries have?"
UNANSWERABLE = "Who painted the ceiling of the Sistine Chapel?"

Printed = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a PDF of two pages, a file that is none, an index of both, and questions.

    Each model is loaded once for all commands.
    """
    folder = tmp_path_factory.mktemp("json")
    writer = PdfWriter()
    for page in PdfReader(SAMPLES / "city-library-report.pdf").pages[2:4]:
        writer.add_page(page)
    (folder / "manuals").mkdir()
    writer.write(folder / "manuals" / "report.pdf")
    (folder / "manuals" / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    rows = [
        {"question": "What melts at 232?", "answers": ["tin"], "context": "Tin melts at 232."},
        {"question": "What melts at 327?", "answers": ["lead"], "context": "Lead melts at 327."},
        {"question": "What melts at 327?", "answers": ["zinc"], "context": "Lead melts at 327."},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "questions.jsonl").write_text(lines, "utf-8")
    (folder / "batch.txt").write_text(f'{QUESTION}\n{{"id": 7}}\n{UNANSWERABLE}\n', "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        embedder, generator = ragctx.embedding, ragctx.generator.load
        patch.setattr(embedder, "load_embedder", cache(embedder.load_embedder))
        patch.setattr(generator, "load_generator", cache(generator.load_generator))
        patch.chdir(folder)
        run(["ingest", "manuals", "--json"])
        yield folder


@pytest.fixture
def printed(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Printed:
    """Runs a command in that folder and gives the objects that it printed, checked."""
    monkeypatch.chdir(place)

    def check(command: str, *arguments: str) -> list[Any]:
        capsys.readouterr()
        run([*command.split(), *arguments, *([] if "--batch" in command else ["--json"])])
        objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert objects
        closed = jsonschema.Draft202012Validator(build_json.schema(command, is_closed=True))
        for value in objects:
            closed.validate(value)
        return objects

    return check


def test_ingest(printed: Printed) -> None:
    (again,) = printed("ingest", "manuals")
    assert {row["outcome"] for row in again["rows"]} == {"unchanged", "failed"}


def test_page(printed: Printed) -> None:
    (page,) = printed("page", "manuals/report.pdf", "1")
    assert page["lines"] and page["quote_boxes"] is None
    quote = " ".join(line["text"] for line in page["lines"][2:4])
    (found,) = printed("page", "manuals/report.pdf", "1", "--quote", quote, "--png", "page.png")
    assert len(found["quote_boxes"]) == 2 and found["png"] == "page.png"


def test_search(printed: Printed) -> None:
    (found,) = printed("search", QUESTION)
    assert found["hits"]


@pytest.mark.parametrize("options", [(), ("--budget-tokens", "300")])
def test_prompt(printed: Printed, options: tuple[str, ...]) -> None:
    (prompt,) = printed("prompt", QUESTION, *options)
    assert prompt["ledger"] and prompt["segments"]


def test_explain(printed: Printed) -> None:
    (explained,) = printed("explain", QUESTION, "--min-score", "auto")
    assert explained["candidates"] and explained["frontier"]


def test_ask(printed: Printed, tmp_path: Path) -> None:
    extras = ("--attribute", "--show-prompt", "--explain", "--kv-cache", str(tmp_path))
    (answer,) = printed("ask", QUESTION, *extras)
    assert answer["citations"] and answer["attribution"] and answer["kv_cache"]["disk"]
    (refusal,) = printed("ask", UNANSWERABLE, "--min-confidence", "1")
    assert refusal["refusal"] and refusal["nearest"]


def test_plan(printed: Printed, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    config = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "n_positions": 64}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({"weight": np.zeros((8, 8), np.float32)}, tmp_path / "model.safetensors")
    (plan,) = printed("plan", str(tmp_path))
    assert (plan["weights"], plan["window_tokens"]) == (64, 64)


def test_ask_batch(printed: Printed) -> None:
    rows = printed("ask --batch", "batch.txt")
    assert ["error" in row for row in rows] == [False, True, False]


def test_index(printed: Printed, place: Path, tmp_path: Path) -> None:
    printed("index info")
    (info,) = printed("index info", "--recall")
    assert info["recall"]["recall"] == 1
    (listed,) = printed("index list")
    assert listed["sources"]
    copy = tmp_path / "copy"
    shutil.copytree(place / "indexes" / "default", copy)
    segment_of(copy).write_bytes(b"damage")
    (verified,) = printed("index verify", str(copy))
    assert verified["problems"]
    (repaired,) = printed("index repair", str(copy))
    assert repaired["done"]
    (removed,) = printed("index remove", "report.pdf", "--index", str(copy))
    assert removed["removed"]
    (compacted,) = printed("index compact", str(copy))
    assert compacted["segments"] == 0  # that was the only document


def test_cache(
    printed: Printed, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path))
    printed("search", QUESTION, str(place / "manuals" / "report.pdf"))
    (info,) = printed("cache info")
    assert info["indexes"]
    (cleared,) = printed("cache clear", "--yes")
    assert cleared["indexes"] == 1


def test_questions_check(printed: Printed) -> None:
    (checked,) = printed("questions check", "questions.jsonl")
    assert checked["problems"]


def test_compare(printed: Printed) -> None:
    sweeps = ("--positions", "2", "--slots", "2", "--budgets", "64", "-k", "2")
    (result,) = printed("compare", "questions.jsonl", *sweeps, "--resamples", "100")
    assert result["outcomes"] and result["positions"] and result["budgets"]


@pytest.mark.slow
def test_probe(printed: Printed) -> None:
    (profile,) = printed("probe", "-n", "4")
    assert profile["accuracy"]


@pytest.mark.slow
def test_calibrate(printed: Printed) -> None:
    rows = [
        {"question": QUESTION, "answers": ["62"] if i % 2 else ["something else"]}
        for i in range(30)
    ]
    Path("many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        guess = "ragctx.evaluation.certainty.is_right"  # whatever it says, half of it is right
        patch.setattr(guess, lambda text, answers: answers != ("something else",))
        (fitted,) = printed("calibrate", "many.jsonl", "--out", "fitted.json")
    assert (fitted["n"], fitted["right"]) == (30, 15)
    assert json.loads(Path("fitted.json").read_text("utf-8")) == fitted


def commands_with_json(command: click.Command, path: str = "") -> Iterator[str]:
    if any(parameter.name == "as_json" for parameter in command.params):
        yield path
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands_with_json(child, f"{path} {name}".strip())


def test_every_command_with_json_has_a_schema() -> None:
    assert {*commands_with_json(command_line), "ask --batch"} == set(SHAPES)


def test_every_schema_is_held_to_what_its_command_prints() -> None:
    source = Path(__file__).read_text("utf-8")
    for command in SHAPES:
        assert f'printed("{command}"' in source, command


def test_the_schemas_are_schemas_and_there_are_no_others() -> None:
    files = {path: text for path, text in build_json.files().items() if path.suffix == ".json"}
    assert set(files) == set(build_json.SCHEMAS.iterdir())
    for text in files.values():
        jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_a_field_that_the_schema_does_not_tell_of_is_found() -> None:
    closed = jsonschema.Draft202012Validator(build_json.schema("search", is_closed=True))
    assert closed.is_valid({"question": "?", "hits": []})
    assert not closed.is_valid({"question": "?", "hits": [], "more": 1})
    assert not closed.is_valid({"question": "?"})
