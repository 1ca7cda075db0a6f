"""Text, Markdown, HTML and Word files, as they are typed at a command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("lxml", reason="needs the extra ragctx[text]")
docx = pytest.importorskip("docx", reason="needs the extra ragctx[text]")

FILES = {
    "notes.md": "# Pump\n\n## Installing\n\n### Linux\n\nThe pump is started with the command "
    "pumpctl. Its filter is cleaned every two weeks.\n\n## Care\n\nThe lid stays closed.\n",
    "page.html": "<title>Valves</title><h1>Valves</h1><h2>Prices</h2><p>The brass valve costs 420 "
    "euros.</p><p style='display:none'>The brass valve costs 1 euro.</p>",
    "letter.txt": "The tank holds eighty litres of oil.\n",
}


def ragctx(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragctx", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each kind, all in an index."""
    place = tmp_path_factory.mktemp("place")
    folder = place / "texts"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    word = docx.Document()
    word.add_heading("Terms", 1)
    word.add_paragraph("The notice period is ninety days.")
    word.save(str(folder / "contract.docx"))
    done = ragctx("ingest", "texts", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("4 files: 4 added; 5 sections, ")
    return place


@pytest.mark.parametrize(
    ("question", "answer", "source"),
    [
        ("How often is the filter cleaned?", "every two weeks", "notes.md, § Installing › Linux"),
        ("What does the brass valve cost?", "420 euros", "page.html, § Prices"),
        ("How long is the notice period?", "ninety days", "contract.docx, § Terms"),
        ("How much oil does the tank hold?", "eighty litres", "letter.txt, section 1"),
    ],
)
def test_an_answer_names_its_section(place: Path, question: str, answer: str, source: str) -> None:
    done = ragctx("ask", question, cwd=place)
    assert answer in done.stdout.split("Sources")[0]
    assert f"[1] {source}  quote found in this section" in done.stdout
    view = json.loads(ragctx("ask", question, "--json", cwd=place).stdout)
    [citation] = view["citations"][:1]
    assert (citation["unit"], citation["status"]) == ("section", "verified")
    name, _, label = source.partition(", ")
    page = ragctx("page", f"texts/{name}", str(citation["first_page"]), "--json", cwd=place)
    shown = json.loads(page.stdout)
    assert citation["quote"] in shown["text"] and citation["page_labels"] == [shown["label"]]
    assert label in (f"§ {shown['label']}", f"section {shown['label']}")


def test_a_file_is_asked_without_an_index(place: Path) -> None:
    done = ragctx("ask", "How often is the filter cleaned?", "texts/notes.md", cwd=place)
    assert "[1] notes.md, § Installing › Linux" in done.stdout


def test_a_passage_found_names_its_section_once(place: Path) -> None:
    done = ragctx("search", "filter", "--document", "notes.md", "-k", "1", cwd=place)
    assert done.stdout.count("Linux") == 1 + done.stdout.partition("\n")[2].count("Linux")
    assert "1. notes.md, § " in done.stdout
    [hit] = json.loads(
        ragctx("search", "filter", "--document", "notes.md", "-k", "1", "--json", cwd=place).stdout
    )["hits"]
    assert hit["unit"] == "section" and hit["section"]


def test_a_prompt_for_another_model_names_sections_where_pages_would_be(place: Path) -> None:
    prompt = ragctx("prompt", "What does the valve cost?", "--template", "qa", cwd=place).stdout
    assert "(page.html, § " in prompt and "p. " not in prompt
    assert "(letter.txt, section 1)" in prompt


def test_a_section_is_shown(place: Path) -> None:
    done = ragctx("page", "notes.md", "1", cwd=place)
    assert done.stdout.startswith(
        "notes.md, § Installing › Linux (section 1): 7 lines, read as markdown\n\nPump\n"
    )
    hidden = ragctx("page", "page.html", "Prices", cwd=place).stdout
    assert hidden.endswith("left out:\n  hidden: The brass valve costs 1 euro.\n")
    quote = ragctx("page", "page.html", "1", "--quote", "COSTS 420", cwd=place).stdout
    assert quote == (
        "page.html, § Prices (section 1): the quote is characters 32–41\n  costs 420\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("notes.md", "1", "--png", "x.png"), 2, "has no pages that could be drawn"),
        (("notes.md", "9"), 2, "no section '9'; its sections are numbered 1 to 2"),
        (("notes.md", "1", "--quote", "boils"), 1, "does not contain the quote “boils”"),
    ],
)
def test_what_a_section_is_not_asked_for(
    place: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = ragctx("page", *arguments, cwd=place)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert not (place / "x.png").exists()


def test_questions_one_after_another_show_the_section(place: Path) -> None:
    command = [sys.executable, "-m", "ragctx", "ask", "-i", "texts/notes.md"]
    typed = "How often is the filter cleaned?\n:page\n"
    done = subprocess.run(
        command, input=typed, cwd=place, capture_output=True, text=True, check=False
    )
    assert "notes.md, § Installing › Linux (1 of 2)\n" in done.stderr
    assert "started with the command pumpctl" in done.stdout


def test_help_names_the_files_and_the_extra(place: Path) -> None:
    shown = " ".join(ragctx("ingest", "--help", cwd=place).stdout.split())
    assert "ragctx[text]" in shown and ".docx" in shown
