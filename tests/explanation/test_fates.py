"""Laws of explaining: every candidate has its fate, and every number that is told was tried."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragctx.assembly import Assembly, trace
from ragctx.cli.output import console, explanation_bar, fates_table, json_text
from ragctx.errors import BudgetError
from ragctx.explanation.bar import stretches, widths
from ragctx.explanation.fates import Explanation, explain
from ragctx.explanation.page import explanation_page
from ragctx.explanation.view import explanation_view, imitation_words
from ragctx.records import Chunk, Hit
from ragctx.selection.floors import at_least
from ragctx.selection.selectors import Selector, fill, knapsack, prefix
from tests.support.fakes import WordTokenizer

QUESTION = "When does tin melt?"
TOKENIZER = WordTokenizer()
selectors = pytest.mark.parametrize("select", [fill, prefix, knapsack])
some_hits = st.lists(st.integers(1, 30), min_size=1, max_size=7).map(
    lambda lengths: [
        Hit.from_text(i, 1 / i, " ".join(f"w{i}x{j}" for j in range(length)), f"d{i}.pdf")
        for i, length in enumerate(lengths, 1)
    ]
)


def explained(hits: list[Hit], **settings: object) -> Explanation:
    how = Assembly(**{"template": "plain", "max_new_tokens": 9} | settings)  # type: ignore[arg-type]
    made = trace(QUESTION, hits, TOKENIZER, context_window=900, assembly=how)
    return explain(made, hits, how.select)


def labels_with(hits: list[Hit], select: Selector, budget: int) -> set[int]:
    """Ranks of the chosen, as found out by assembling."""
    try:
        prompt = explained(hits, select=select, budget_tokens=budget).prompt
    except BudgetError:
        return set()
    return {p.hit.rank for p in prompt.passages if p.hit}


@selectors
@settings(max_examples=20)
@given(hits=some_hits, budget=st.integers(6, 90))
def test_every_candidate_has_its_fate_and_what_would_let_it_in_was_tried(
    select: Selector, hits: list[Hit], budget: int
) -> None:
    try:
        found = explained(hits, select=select, budget_tokens=budget)
    except BudgetError:
        return
    assert [fate.row for fate in found.fates] == list(found.prompt.ledger)
    assert [fate.hit.rank for fate in found.fates] == [hit.rank for hit in hits]
    for fate in found.fates:
        assert bool(fate.label) == (fate.row.outcome == "selected")
        if fate.label:
            passage = found.prompt.passages[int(fate.label) - 1]
            assert passage.hit is not None and passage.hit.rank == fate.row.rank
            assert fate.tokens_to_enter is None
        else:
            assert fate.tokens_to_enter is not None
            enough = budget + fate.tokens_to_enter
            assert fate.row.rank in labels_with(hits, select, enough)
            assert fate.row.rank not in labels_with(hits, select, enough - 1)


def test_what_enters_next_needs_the_fewest_tokens() -> None:
    hits = [Hit.from_text(i, 1 / i, "word " * n) for i, n in enumerate((20, 30, 24), 1)]
    found = explained(hits, budget_tokens=30)
    fate = found.next_to_enter
    assert fate is not None and (fate.row.rank, fate.tokens_to_enter) == (3, 19)


def test_cut_candidates_are_not_said_to_enter_and_merged_ones_stand_in_their_span() -> None:
    text = "Tin melts at 232 degrees. It is soft. Lead is heavy."
    spans = [(0, 37), (26, 52), (0, 25)]
    hits = [
        Hit(
            rank=i,
            score=1 / i,
            chunk=Chunk(
                id=f"d:{a}-{b}",
                document_id="d",
                start=a,
                end=b,
                first_page=1,
                last_page=1,
                text=text[a:b],
                token_count=0,
            ),
            document="d.pdf",
        )
        for i, (a, b) in enumerate(spans, 1)
    ]
    hits.append(Hit.from_text(4, 0.01, "Gold.", "gold.pdf"))
    found = explained(hits, floor=at_least(0.1))
    assert {(fate.row.outcome, fate.label) for fate in found.fates[:-1]} == {
        ("selected", "1"),
        ("merged", "1"),
    }
    # The table had rank 1 twice, once as "merged into d:0-52", which nobody can look up.
    assert [f.row.rank for f in found.fates] == [1, 1, 2, 3, 4]
    assert [f.row.rank for f in found.one_for_each_rank] == [1, 2, 3, 4]
    assert [f.row.outcome for f in found.one_for_each_rank][:3] == ["selected", "merged", "merged"]
    page = explanation_page(found)
    assert "merged into the passage of rank 1" in page and "d:0-" not in page
    gold = found.fates[-1]
    assert (gold.row.outcome, gold.label, gold.tokens_to_enter) == ("dropped", "", None)


def test_a_passage_that_says_another_s_label_is_pointed_out() -> None:
    hits = [Hit.from_text(1, 0.9, "As [2] and [1] say."), Hit.from_text(2, 0.8, "Lead.")]
    assert imitation_words(explained(hits)) == [
        "passage [1] itself says [2]: a reader may take that for a source"
    ]


def test_the_names_of_an_explanation() -> None:
    view = explanation_view(explained([Hit.from_text(1, None, "Tin.")]))  # type: ignore[arg-type]
    assert set(view) == {
        "question",
        "placement",
        "certificate",
        "room_tokens",
        "used_tokens",
        "saved_tokens",
        "relevance",
        "upper_bound",
        "gap",
        "score_name",
        "candidates",
        "frontier",
        "imitated_labels",
    }
    assert set(view["candidates"][0]) == {
        "chunk",
        "document",
        "rank",
        "score",
        "tokens",
        "outcome",
        "reason",
        "section",
        "label",
        "tokens_to_enter",
        "path",
        "first_page",
        "last_page",
        "unit",
        "start",
        "end",
    }
    assert json.loads(json_text(view))["candidates"][0]["score"] is None


def test_the_frontier_reaches_the_selection_and_rises() -> None:
    hits = [Hit.from_text(i, 1 / i, f"word{i} " * n, f"{i}") for i, n in enumerate((20, 30, 24), 1)]
    found = explained(hits, budget_tokens=60, select=knapsack)
    assert found.frontier[:2] == ((0, 0.0), (20, 1.0))
    assert [relevance for _, relevance in found.frontier] == sorted(
        relevance for _, relevance in found.frontier
    )
    bought = max(relevance for tokens, relevance in found.frontier if tokens <= found.room_tokens)
    assert bought == found.relevance


# ---- Pictures ----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 5000), max_size=20), st.integers(0, 120))
def test_widths_fill_the_line_and_grow_with_the_lengths(lengths: list[int], total: int) -> None:
    cells = widths(lengths, total)
    assert all(cell >= 1 for cell in cells)
    if lengths:
        assert sum(cells) == max(total, len(lengths))
    for a, x in zip(lengths, cells, strict=True):
        for b, y in zip(lengths, cells, strict=True):
            assert x <= y + 1 or a > b


@given(some_hits)
def test_the_bar_holds_every_part_in_order_and_fits(hits: list[Hit]) -> None:
    prompt = explained(hits).prompt
    parts = stretches(prompt)
    assert sum(part.tokens for part in parts) == prompt.token_count
    assert [part.label for part in parts if part.label] == [p.label for p in prompt.passages]
    best = max(parts, key=lambda part: part.strength)
    assert best.strength == 1.0 and best.title.startswith("rank 1:")
    assert explanation_bar(prompt, 80).cell_len == 80


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


hostile = st.lists(
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=http://x/y onerror=alert(1)>',
            "</pre>",
            "&lt;",
            "' style='x",
            "</style>",
            "<!--",
            "\x1b[31m",
            "\u202e",
            "]]>",
            "url(http://x)",
            "[2]",
            "é",
        ]
    ),
    min_size=1,
    max_size=5,
).map(" ".join)


@given(hostile, hostile, hostile)
def test_a_page_runs_nothing_fetches_nothing_and_shows_hostile_text_as_text(
    text: str, document: str, question: str
) -> None:
    hits = [Hit.from_text(1, 0.9, text, document), Hit.from_text(2, 0.8, "Lead.", document)]
    made = trace(question, hits, TOKENIZER, context_window=900, assembly=Assembly(max_new_tokens=9))
    page = Page(explanation_page(explain(made, hits, fill)))
    harmless = Page(explanation_page(explained([*map(plain, hits)], template="qa")))
    assert set(page.tags) <= set(harmless.tags) | {"p"}
    assert not {"script", "img", "link", "iframe", "object", "base"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")} | ({"src", "href"} & names)
    shown = "".join(page.words)
    assert re.sub(r"[\x1b\u202e]", "\N{REPLACEMENT CHARACTER}", text) in shown


def plain(hit: Hit) -> Hit:
    return Hit.from_text(hit.rank, hit.score, "Tin.", "a.pdf")


def test_the_page_s_policy_forbids_everything_but_its_own_style() -> None:
    page = explanation_page(explained([Hit.from_text(1, 0.9, "Tin.")]))
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert "url(" not in page and "@import" not in page and "//" not in page


def test_the_table_shows_candidates_of_any_score() -> None:
    hits = [Hit.from_text(1, None, "[red]Tin[/red]"), Hit.from_text(2, float("nan"), "Lead.")]  # type: ignore[arg-type]
    table = fates_table(explained(hits).fates)
    assert table.row_count == 2
    with console().capture() as captured:
        console().print(table)
    assert captured.get() == ""
