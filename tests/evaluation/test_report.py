"""Laws of a comparison's report: whole, escaped, bounded, readable, the same every time."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.evaluation.numbers import percent
from ragctx.evaluation.report import questions
from ragctx.evaluation.report.page import _style, html_report
from ragctx.evaluation.report.svg import (
    SHADES,
    Axis,
    Point,
    Strip,
    curve,
    prompt_picture,
    span_of,
    unbeaten,
)
from ragctx.evaluation.report.text import csv_cell, markdown_report, outcomes_csv, summaries_csv
from ragctx.evaluation.report.wording import headline
from ragctx.evaluation.report.write import FILES, write_report
from ragctx.evaluation.results import Result
from ragctx.evaluation.statistics.intervals import Interval
from ragctx.text.display import one_line, printable
from ragctx.text.markup import Markup, joined, tag
from tests.support.comparison_results import Fabrication

PAYLOADS = (
    "</script><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "</title></style><style>*{display:none}",
    "</svg><iframe src=https://example.org>",
    "&lt;b&gt;",
    "|a|\n\n# b\n```\n",
    "]](javascript:alert(1))",
    "\x1b[31m\u202e\x00\ud800",
    "=HYPERLINK(1)",
)
VOID = {"meta"}
KNOWN = set(
    "html head title style body main header section nav h1 h2 h3 p ul li b a figure figcaption svg "
    "desc g line path circle polyline text div span table caption thead tbody tr th td small pre "
    "code details summary blockquote footer mark meta".split()
)


class Page(HTMLParser):
    """What a browser would see: elements, attributes, text; and whether all that opens closes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for element, attributes in self.elements if element == name]


@pytest.fixture(scope="module")
def result() -> Result:
    return Fabrication(12).result(sweeps=((10, (0, 4, 9)), (20, (0, 4, 9, 14, 19))))


@pytest.fixture(scope="module")
def page(result: Result) -> Page:
    return Page(html_report(result))


def poisoned(result: Result, payload: str) -> Result:
    """The result with a payload at both ends of every text but the keys that tie it together."""

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: poison(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [poison(item, key) for item in value]
        if not isinstance(value, str):
            return value
        return f"{value}{payload}" if key in TIES else f"{payload}{value}{payload}"

    return Result.from_json(json.dumps(poison(json.loads(result.to_json()))))


def shapes(page: Page) -> set[tuple[str, ...]]:
    """The elements of a page with the names of their attributes."""
    return {(name, *attributes) for name, attributes in page.elements}


TIES = ("condition", "conditions", "baseline", "first", "second", "best", "worst")


# --- the page


def test_the_page_closes_what_it_opens_and_holds_known_elements_only(page: Page) -> None:
    assert page.open == []
    assert {name for name, _ in page.elements} - KNOWN == set()


def test_the_page_needs_nothing_from_afar_and_runs_nothing(page: Page) -> None:
    for name, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on")]
        assert "src" not in attributes
        if name == "a":
            assert str(attributes["href"]).startswith("#")
    [policy] = [m for m in page.named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in str(policy["content"])
    assert "url(" not in _style()
    assert "@import" not in _style()


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_hostile_text_stays_text_wherever_it_stands(
    payload: str, page: Page, result: Result
) -> None:
    hostile = Page(html_report(poisoned(result, payload)))
    assert hostile.open == []
    assert shapes(hostile) <= shapes(page)
    shown = " ".join(" ".join(hostile.texts).split())
    assert one_line(payload) in shown


def test_no_control_character_reaches_any_file(result: Result) -> None:
    for name, made in FILES.items():
        if name != "result.json":
            text = made(poisoned(result, "\x1b\u202e\x00\x7f"))
            assert not set(text) & set("\x1b\u202e\x00\x7f")


def test_the_verdict_comes_first_and_the_command_is_there(page: Page, result: Result) -> None:
    texts = [text for text in page.texts if text.strip()]
    body = texts[texts.index("ragctx compare") + 1 :]
    assert body[0] == headline(result)
    assert result.verdict in body[:15]
    assert result.settings.command in page.texts


def test_links_lead_to_sections_that_are_there(page: Page) -> None:
    ids = {attributes.get("id") for attributes in page.named("h2")}
    assert {str(link["href"])[1:] for link in page.named("a")} <= ids
    assert len(page.named("a")) == 6


def test_every_picture_says_what_it_shows(page: Page, result: Result) -> None:
    pictures = page.named("svg")
    assert pictures
    assert all(p["role"] == "img" and p["aria-label"] for p in pictures)
    charts = [p for p in pictures if p["class"] == "chart"]
    assert len(charts) == len(result.positions) + 3
    assert len(page.named("desc")) == len(charts)


def test_every_number_of_a_picture_is_in_a_table_too(page: Page, result: Result) -> None:
    cells = set(page.texts)
    assert len(result.positions) == 2
    for sweep in result.positions:
        assert {percent(summary.correct.value) for summary in sweep.summaries} <= cells


def test_synthetic_questions_are_called_so(page: Page, result: Result) -> None:
    assert any("6 of 12 questions are synthetic" in text for text in page.texts)
    real = replace(result, questions=tuple(replace(q, synthetic=False) for q in result.questions))
    assert "synthetic" not in html_report(real).partition("</style>")[2]
    assert "synthetic" not in markdown_report(real)


@pytest.mark.parametrize("without", ["strategies", "positions", "budgets", "all"])
def test_a_part_that_was_not_run_is_not_reported(without: str) -> None:
    names = () if without in ("strategies", "all") else ("edges", "middle")
    sweeps = () if without in ("positions", "all") else ((10, (0, 9)),)
    budgets = () if without in ("budgets", "all") else (256, 512)
    result = Fabrication(5).result(names=names, sweeps=sweeps, budgets=budgets)
    ids = {attributes.get("id") for attributes in Page(html_report(result)).named("h2")}
    assert {"positions", "strategies", "budgets", "questions", "settings"} - ids == (
        {"strategies", "positions", "budgets"} if without == "all" else {without}
    )
    for made in FILES.values():
        assert made(result)


def test_the_headline_says_what_differs_and_what_does_not(result: Result) -> None:
    def judged(placements: float, budgets: float, least: float = 0.1) -> str:
        assert result.strategies and result.strategies.omnibus and result.strategies.power
        assert result.budgets and result.budgets.omnibus
        power = replace(result.strategies.power, n=20, detectable_difference=least)
        part = replace(result.strategies.omnibus, p_value=placements)
        swept = replace(result.budgets.omnibus, p_value=budgets)
        return headline(
            replace(
                result,
                grid=None,
                positions=(),
                strategies=replace(result.strategies, omnibus=part, power=power),
                budgets=replace(result.budgets, omnibus=swept, power=power),
            )
        )

    assert judged(0.05, 0.9) == "No measurable difference between placements or between budgets."
    assert judged(0.04, 0.01) == "Placements and budgets differ measurably."
    assert judged(0.04, 0.5) == (
        "Placements differ measurably; no measurable difference between budgets."
    )
    unseen = "a difference below 52.0 points would not be seen."
    assert judged(0.3, 0.9, 0.52) == f"20 questions are too few to tell: {unseen}"
    assert judged(0.04, 0.9, 0.52) == (
        f"Placements differ measurably; 20 questions are too few to tell about budgets: {unseen}"
    )
    nothing = replace(result, strategies=None, grid=None, positions=(), budgets=None)
    assert headline(nothing).startswith("Nothing to compare")


# --- questions


def titles(page: str) -> list[str]:
    return re.findall(r'<details class="group"><summary>([^<]*)', page) or re.findall(
        r"<details[^>]*><summary>([^<]*: \d[^<]*)", page
    )


def test_questions_on_which_conditions_disagree_come_first(result: Result) -> None:
    found = titles(html_report(result))
    assert found[0].startswith("The conditions disagree")
    assert sum(int(title.rpartition(": ")[2]) for title in found) == len(result.questions)


def test_a_report_is_bounded_however_many_questions_there_are(
    monkeypatch: pytest.MonkeyPatch, result: Result
) -> None:
    monkeypatch.setattr(questions, "MOST_QUESTIONS", 3)
    page = html_report(result)
    assert page.count('class="question"') == 3
    assert "all are in outcomes.csv" in page
    assert len(outcomes_csv(result).splitlines()) > len(result.outcomes)


def test_five_hundred_questions_and_eight_placements_are_a_few_megabytes() -> None:
    page = html_report(Fabrication(500).result(sweeps=(), budgets=(), gridded=False))
    assert page.count('class="question"') == 500
    assert len(page) < 5_500_000


def test_a_prompt_picture_is_to_scale_and_marks_gold_and_cited() -> None:
    passages = [Strip(100, 1, False, False), Strip(300, 2, True, False), Strip(600, 3, False, True)]
    picture = prompt_picture(passages, "told")
    assert '<path d="M100 5h300" class="gold">' in picture
    assert '<path d="M400 13.5h600" class="cited">' in picture


def test_two_orders_of_the_same_passages_look_different() -> None:
    # Every passage but the gold one once had one grey, so that only gold told orders apart: edges
    # and best_first looked alike where both begin with the gold passage.
    best_first = [Strip(100, rank, rank == 1, False) for rank in range(1, 11)]
    edges = [best_first[i] for i in (0, 2, 4, 6, 8, 9, 7, 5, 3, 1)]
    one, other = prompt_picture(best_first, ""), prompt_picture(edges, "")
    assert one != other
    assert '<path d="M900 5h100" class="rank-1">' in other  # the second best is at the end
    assert '<path d="M800 5h100M900 5h100" class="rank-5">' in one
    assert {f"rank-{shade}" for shade in range(1, SHADES + 1)} <= set(re.findall(r"rank-\d", one))


def test_the_answer_is_marked_in_its_passage(result: Result) -> None:
    question = replace(
        result.questions[0],
        answers=("Amelie Roth",),
        answerable=True,
        passages=(
            replace(
                result.questions[0].passages[0],
                is_gold=True,
                text="x " * 900 + "built by AMELIE\nROTH in 1931 " + "y " * 900,
            ),
        ),
    )
    shown = joined(*questions._wanted(question))
    assert "built by <mark>AMELIE ROTH</mark> in 1931" in shown
    assert len(shown) < 1_000


def test_a_phone_never_scrolls_sideways() -> None:
    """Looked at in a browser 390 pixels wide; what made it so must stay."""
    text, style = html_report(Fabrication(12).result()), _style()
    tables = [attributes.get("class") for attributes in Page(text).named("table")]
    in_scroll = text.count('class="scroll"')
    blocks = [kind for kind in tables if kind in ("forest", "answers")]
    assert blocks
    assert len(tables) == in_scroll + len(blocks), "each scrolls in its own box or becomes blocks"
    narrow = style[style.index("@media (max-width: 44rem)") :]
    assert ".forest, .forest tbody, .answers, .answers tbody { display: block; }" in narrow
    assert ".scroll { overflow-x: auto;" in style
    assert "overflow-wrap: anywhere;" in style


def test_the_settings_name_every_file(result: Result) -> None:
    settings = replace(
        result.settings,
        questions_file="data/q.jsonl",
        source="indexes/work",
        documents=("/docs/a.pdf", "/docs/b.pdf"),
        template="prompts/mine.prompt",
        model_spec="models/qwen",
    )
    whole = replace(result, settings=settings)
    for text in (html_report(whole), markdown_report(whole).replace("\\", "")):
        for name in (
            "data/q.jsonl",
            "indexes/work",
            "/docs/a.pdf, /docs/b.pdf",
            "prompts/mine.prompt",
            "models/qwen",
        ):
            assert name in text


def test_the_recommendation_stands_first(result: Result) -> None:
    advice = result.recommendation
    for text, verdict in (
        (html_report(result), result.verdict),
        (markdown_report(result), result.verdict.split("(")[0]),
    ):
        assert text.index(advice) < text.index(verdict)


# --- pictures


SHARES = st.floats(0, 1)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=9))
def test_unbeaten_points_are_those_no_other_beats(places: list[tuple[int, int]]) -> None:
    points = [Point(x, Interval(y, y, y), str(i)) for i, (x, y) in enumerate(places)]
    slow = {
        (p.x, p.y.value)
        for p in points
        if not any(
            q.x <= p.x and q.y.value >= p.y.value and (q.x, q.y) != (p.x, p.y) for q in points
        )
    }
    found = unbeaten(points)
    assert {(p.x, p.y.value) for p in found} == slow
    assert len(found) == len(slow)


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1))
def test_an_axis_holds_every_interval_and_ends_on_a_tick(pairs: list[tuple[float, float]]) -> None:
    intervals = [Interval(min(pair), min(pair), max(pair)) for pair in pairs]
    low, high = span_of(intervals)
    assert low <= min(i.low for i in intervals)
    assert high >= max(i.high for i in intervals)
    assert 0 <= low < high <= 1
    drawn = curve(
        "t", "d", Axis(title="x", low=1, high=2, ticks=()), [Point(1, i, "") for i in intervals]
    )
    ticks = re.findall(r'class="axis end">(\d+)\xa0%', drawn)
    assert (int(ticks[0]), int(ticks[-1])) == (round(100 * low), round(100 * high))


# --- colours


def colours() -> Iterator[dict[str, str]]:
    style = _style()
    light, dark = re.findall(r":root \{(.*?)\n\s*\}", style, re.DOTALL)
    for block in (light, dark):
        yield dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_and_pictures_stand_out_by_day_and_by_night() -> None:
    """WCAG 2.1 AA: 4.5 for text, 3 for what pictures are made of."""
    palettes = list(colours())
    assert len(palettes) == 2
    for palette in palettes:
        for text in ("ink", "soft", "line", "yes", "no"):
            assert contrast(palette[text], palette["paper"]) >= 4.5, text
        assert contrast(palette["ink"], palette["mark"]) >= 4.5
        for drawn in ("line", "quiet", "gold", "yes", "no"):
            assert contrast(palette[drawn], palette["paper"]) >= 3, drawn


# --- text and data


def table_rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("|"):
            yield re.split(r"(?<!\\)\|", line)[1:-1]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_markdown_keeps_its_structure_whatever_the_text(payload: str, result: Result) -> None:
    plain, hostile = (markdown_report(r) for r in (result, poisoned(result, payload)))
    assert len(list(table_rows(plain))) > 30
    assert [len(row) for row in table_rows(plain)] == [len(row) for row in table_rows(hostile)]
    assert plain.count("\n# ") == hostile.count("\n# ")
    outside_code = "\n".join(line for line in hostile.splitlines() if not line.startswith("    "))
    assert not re.search(r"(?<!\\)<", outside_code)
    assert not re.search(r"(?<!\\)\]\(", outside_code)


@given(st.text() | st.sampled_from(["=1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "\n=1"]))
def test_no_text_is_a_formula_to_a_spreadsheet(text: str) -> None:
    cell = csv_cell(text)
    assert isinstance(cell, str)
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_every_outcome_and_every_condition_is_a_row(result: Result) -> None:
    outcomes = list(csv.DictReader(io.StringIO(outcomes_csv(result))))
    assert len(outcomes) == len(result.outcomes)
    for row, outcome in zip(outcomes, result.outcomes, strict=True):
        assert row["condition"] == outcome.condition
        assert row["correct"] == str(outcome.correct).lower()
        assert float(row["latency_s"]) == outcome.latency_s
    summaries = list(csv.DictReader(io.StringIO(summaries_csv(result))))
    conditions = [row["condition"] for row in summaries]
    assert sorted(conditions) == sorted({outcome.condition for outcome in result.outcomes})
    assert all(float(row["correct_low"]) <= float(row["correct"]) for row in summaries)


def test_a_report_can_be_written_twice_and_read_again(tmp_path: Path, result: Result) -> None:
    folder = tmp_path / "new" / "report"
    first = {path.name: path.read_bytes() for path in write_report(result, folder)}
    assert write_report(result, folder) == tuple(folder / name for name in FILES)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert Result.from_json((folder / "result.json").read_text(encoding="utf-8")) == result


def test_a_place_that_is_no_folder_is_an_error(tmp_path: Path, result: Result) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        write_report(result, tmp_path / "file")


# --- markup


@given(st.text(), st.text())
def test_whatever_is_put_in_comes_out_as_text(text: str, attribute: str) -> None:
    page = Page(tag("p", text, title=attribute))
    [(name, attributes)] = page.elements
    assert (name, attributes) == ("p", {"title": printable(attribute)})
    assert "".join(page.texts) == printable(text)


def test_markup_is_not_escaped_twice() -> None:
    assert tag("p", tag("b", "<")) == Markup("<p><b>&lt;</b></p>")
