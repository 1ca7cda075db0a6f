"""Markdown: the words that its page shows, under the headings that it has."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("lxml", reason="needs the extra ragctx[text]")
pytest.importorskip("mdit_py_plugins", reason="needs the extra ragctx[text]")

from markdown_it import MarkdownIt

from ragctx.formats.document import document_of
from ragctx.formats.markdown import read_markdown
from ragctx.records import Document
from tests.support.paths import ROOT
from tests.support.text_files import plain_extraction, words_of

DOCS = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])


def read(source: str) -> Document:
    return document_of(read_markdown(source.encode(), "a.md"), "d", "a.md", format="markdown")


def letters(text: str) -> str:
    """Letters and digits alone: marks of lists and spaces differ."""
    return "".join(filter(str.isalpha, text))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_word_of_our_own_documents_is_read(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    rendered = MarkdownIt("commonmark").enable("table").render(source)
    assert letters(read(source).text) == letters(plain_extraction(rendered))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_heading_of_our_own_documents_begins_its_section(path: Path) -> None:
    document = read(path.read_text(encoding="utf-8"))
    for section in document.sections:
        page = document.page_of(section.start)
        assert section.title.split(" › ")[-1] in page.text and page.label != str(page.number)


lines = st.lists(
    st.builds(
        "{}{}".format,
        st.sampled_from(["", "# ", "## ", "- ", "  - ", "1. ", "> ", "    ", "```\n", "| ", "***"]),
        st.lists(st.integers(0, 99).map(lambda n: f"w{n}"), min_size=1, max_size=5).map(" ".join),
    ),
    max_size=15,
)


@given(lines)
def test_the_words_of_any_text_are_read_once_and_in_order(made: list[str]) -> None:
    source = "\n".join(made)
    assert words_of(read(source).text) == words_of(source)


def test_front_matter_is_read_as_it_is_and_gives_the_title() -> None:
    document = read("---\ntitle: 'Pump'\ntags: [a, b]\n---\n\n# Use\n\nOn.")
    assert document.title == "Pump"
    assert document.text == "title: 'Pump'\ntags: [a, b]\n\nUse\n\nOn."
    assert [page.label for page in document.pages] == ["1", "Use"]


def test_a_rule_is_no_front_matter() -> None:
    assert read("---\n\nTin.\n\n---\n\nLead.").text == "Tin.\n\nLead."


def test_tables_lists_code_and_links() -> None:
    source = """
Check [these](http://a.example "b"):

- the *valve*
- the `hose`
   1. inside

| Metal | Melts |
|---|---|
| Tin | 232 |

```python
def f():
\treturn 1
```

![secret words](x.png) ~~gone~~ seen[^1].

[^1]: A note.
"""
    assert read(source).text == (
        "Check these:\n\n- the valve\n- the hose\n  1. inside\n\nMetal\tMelts\nTin\t232\n\n"
        "def f():\n    return 1\n\ngone seen[1].\n\n1. A note."
    )


def test_html_in_it_is_hidden_as_in_a_page() -> None:
    source = "Tin <span style='display:none'>s</span> melts.\n\n<!-- s -->\n\n[//]: # (s)\n"
    document = read(source)
    assert document.text == "Tin melts."
    assert document.warnings == ("text that nobody sees left out: 2 characters, in sections 1",)


def test_lists_that_are_too_deep_are_told_of() -> None:
    document = read("\n".join("  " * depth + f"- w{depth}" for depth in range(300)))
    assert document.status == "partial"
    assert "text may be missing" in document.warnings[0]
    assert words_of(document.text)[:40] == [f"w{depth}" for depth in range(40)]
