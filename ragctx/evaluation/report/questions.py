"""The part of a report that shows single questions: each prompt, its answer and its citations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ragctx.evaluation.report.svg import Strip, answer_strip, prompt_picture
from ragctx.evaluation.report.wording import Label, grid_words
from ragctx.evaluation.results import (
    CitationRecord,
    Outcome,
    PassageRecord,
    QuestionRecord,
    Result,
)
from ragctx.evaluation.text_match import place_of
from ragctx.text.display import one_line
from ragctx.text.markup import Markup, joined, tag

MOST_QUESTIONS, MOST_ROWS = 500, 6000
"""How many questions, and answers to them, are shown at most, so that the page stays of a size that
a browser can open. Chosen by hand; questions on which conditions disagree come first."""
_QUESTION, _ANSWER, _NAME, _PASSAGE = 240, 160, 60, 600  # characters shown
_MOST_CITATIONS = 4  # shown of an answer
_MOST_LABEL_DIGITS = 5  # no prompt has as many passages as six digits would name
_MOST_ANSWERS = 6  # accepted answers shown of a question

ByCondition = Mapping[str, Outcome]
"""The outcomes of one question by the names of the conditions."""


@dataclass(frozen=True, slots=True)
class _QuestionGroup:
    """Questions on which the conditions did alike."""

    title: str
    questions: tuple[QuestionRecord, ...]


def question_part(result: Result, label: Label) -> Markup:
    """The questions in groups, folded up until they are opened."""
    outcomes = _by_question(result)
    compared = compared_conditions(result)
    controls = result.strategies.controls if result.strategies else ()
    judged = set(compared) - {summary.condition for summary in controls}
    groups = _groups(result.questions, outcomes, judged)
    remaining = min(MOST_QUESTIONS, MOST_ROWS // max(1, len(compared)))
    parts = []
    for group in groups:
        some = group.questions[:remaining]
        remaining -= len(some)
        inside = [_question(q, outcomes[q.id], result, label) for q in some]
        title = f"{group.title}: {len(group.questions):,}"
        if len(some) < len(group.questions):
            title += f" ({len(some):,} shown; all are in outcomes.csv)"
        parts.append(tag("details", tag("summary", title), *inside, class_="group"))
    return joined(*parts)


def compared_conditions(result: Result) -> tuple[str, ...]:
    """The conditions whose answers are shown in a table: the first part there is."""
    if result.strategies:
        return tuple(s.condition for s in result.strategies.summaries)
    swept = result.positions[0].summaries if result.positions else ()
    swept = swept or (result.budgets.summaries if result.budgets else ())
    swept = swept or (result.grid.summaries if result.grid else ())
    return tuple(summary.condition for summary in swept)


def _by_question(result: Result) -> dict[str, dict[str, Outcome]]:
    outcomes: dict[str, dict[str, Outcome]] = defaultdict(dict)
    for outcome in result.outcomes:
        outcomes[outcome.question][outcome.condition] = outcome
    return outcomes


def _groups(
    questions: Sequence[QuestionRecord],
    outcomes: Mapping[str, ByCondition],
    judged: Collection[str],
) -> list[_QuestionGroup]:
    """Questions by how the `judged` conditions did; first those that tell conditions apart."""
    mixed: list[QuestionRecord] = []
    right: list[QuestionRecord] = []
    wrong: list[QuestionRecord] = []
    for question in questions:
        of_question = outcomes[question.id]
        correct = {of_question[name].correct for name in judged if name in of_question}
        if len(correct) > 1:
            mixed.append(question)
        elif True in correct:
            right.append(question)
        else:
            wrong.append(question)
    groups = (
        _QuestionGroup("The conditions disagree", tuple(mixed)),
        _QuestionGroup("None was right", tuple(wrong)),
        _QuestionGroup("All were right", tuple(right)),
    )
    return [group for group in groups if group.questions]


# ---- One question ----------------------------------------------------------------------------


def _question(
    question: QuestionRecord, outcomes: ByCondition, result: Result, label: Label
) -> Markup:
    compared = [name for name in compared_conditions(result) if name in outcomes]
    strip = _strip([outcomes[name] for name in compared])
    badges = [
        tag("span", "synthetic", class_="badge") if question.synthetic else None,
        None if question.answerable else tag("span", "no answer", class_="badge"),
    ]
    asked = tag("span", one_line(question.question, _QUESTION), " ", *badges, class_="asked")
    rows = [_answer_row(question, outcomes[name], label(name)) for name in compared]
    head = tag(
        "thead",
        tag(
            "tr",
            *(
                tag("th", name, scope="col")
                for name in ("condition", "prompt", "answer", "sources")
            ),
        ),
    )
    table = tag("table", head, tag("tbody", *rows), class_="answers")
    inside = tag(
        "div", *_wanted(question), table, *_swept(outcomes, result, compared), class_="inside"
    )
    return tag("details", tag("summary", asked, strip), inside, class_="question")


def _strip(outcomes: Sequence[Outcome | None]) -> Markup:
    """A square per condition; None where the question was not asked under it."""
    correct = [outcome.correct if outcome else None for outcome in outcomes]
    asked = [is_correct for is_correct in correct if is_correct is not None]
    return answer_strip(correct, f"right under {sum(asked)} of {len(asked)} conditions")


def _wanted(question: QuestionRecord) -> list[Markup]:
    """The accepted answers, and the passage that holds them."""
    if not question.answerable:
        return [tag("p", "No passage answers this: it should be refused.")]
    accepted = [f"“{one_line(answer, _ANSWER)}”" for answer in question.answers[:_MOST_ANSWERS]]
    parts = [tag("p", "Accepted: ", " or ".join(accepted))]
    gold = next((passage for passage in question.passages if passage.is_gold), None)
    if gold is None:
        return [
            *parts,
            tag("p", "No passage with the answer was among the candidates.", class_="soft"),
        ]
    rank = f", rank {question.first_gold_rank}" if question.first_gold_rank else ""
    return [
        *parts,
        tag(
            "blockquote",
            *_around_answer(gold.text, question.answers),
            tag("footer", f"{_where(gold)}{rank}", class_="soft"),
        ),
    ]


def _around_answer(text: str, answers: Sequence[str]) -> list[str]:
    """The passage, cut around an answer, which is marked."""
    line = one_line(text)
    places = (place_of(answer, line) for answer in map(_tidy, answers) if answer)
    start, end = next((place for place in places if place is not None), (0, 0))
    length = end - start
    first = max(0, start - _PASSAGE // 2) if start + length > _PASSAGE else 0
    last = min(len(line), first + _PASSAGE)
    before, answer, after = (
        line[first:start],
        line[start : start + length],
        line[start + length : last],
    )
    marked = tag("mark", answer) if answer else Markup("")
    return ["…" if first else "", before, marked, after, "…" if last < len(line) else ""]


def _tidy(answer: str) -> str:
    return " ".join(answer.split())


def _where(passage: PassageRecord) -> str:
    first, last = passage.first_page, passage.last_page
    name = one_line(passage.document, _NAME) or "passage"
    if first is None:
        return name
    return f"{name}, page {first}" if first == last else f"{name}, pages {first}–{last}"


# ---- One answer ------------------------------------------------------------------------------


def _answer_row(question: QuestionRecord, outcome: Outcome, name: str) -> Markup:
    verdict = tag(
        "span",
        "✓ right" if outcome.correct else "✗ wrong",
        class_="yes" if outcome.correct else "no",
    )
    answer = "refused" if outcome.abstained else f"“{one_line(outcome.answer, _ANSWER)}”"
    note = tag("div", outcome.note, class_="soft") if outcome.note else None
    return tag(
        "tr",
        tag("th", name, scope="row"),
        tag("td", _picture(question, outcome), class_="picture"),
        tag("td", verdict, " ", answer, note),
        tag("td", *_sources(question, outcome)),
    )


def _picture(question: QuestionRecord, outcome: Outcome) -> Markup | str:
    if not outcome.order:
        return "no passages"
    gold = [question.passages[i].is_gold for i in outcome.order]
    cited = {_number(citation, outcome) for citation in outcome.citations}
    labels = [f"[{label}]" for label, is_gold in enumerate(gold, start=1) if is_gold]
    where = f"gold is {' '.join(labels)} of {len(gold)}" if labels else f"{len(gold)}, none gold"
    caption = f"{where}; {outcome.prompt_tokens:,} tokens"
    marks = [i in cited for i in range(len(gold))]
    strips = [
        Strip(tokens, question.passages[i].rank, is_gold, is_cited)
        for tokens, i, is_gold, is_cited in zip(
            outcome.passage_tokens, outcome.order, gold, marks, strict=True
        )
    ]
    picture = prompt_picture(strips, caption)
    return joined(picture, tag("small", caption, class_="soft"))


def _number(citation: CitationRecord, outcome: Outcome) -> int | None:
    """The passage of the prompt that a label names, counted from 0; None for an invalid label.

    Labels are a model's own words: they may be anything, numbers of any length included.
    """
    if citation.label.isdecimal() and len(citation.label) <= _MOST_LABEL_DIGITS:
        number = int(citation.label) - 1
        return number if 0 <= number < len(outcome.order) else None
    return None


def _sources(question: QuestionRecord, outcome: Outcome) -> list[str]:
    lines = [tag("div", _source(question, outcome, c)) for c in outcome.citations[:_MOST_CITATIONS]]
    more = len(outcome.citations) - _MOST_CITATIONS
    return [*lines, f"and {more} more"] if more > 0 else [*lines]


def _source(question: QuestionRecord, outcome: Outcome, citation: CitationRecord) -> str:
    number = _number(citation, outcome)
    place = "" if number is None else f" {_where(question.passages[outcome.order[number]])}"
    gold = ", holds the answer" if citation.is_gold else ""
    status = citation.status.replace("_", " ")
    return f"[{one_line(citation.label, 6)}]{place}: {status}{gold}"


# ---- Sweeps ----------------------------------------------------------------------------------


def _swept(outcomes: ByCondition, result: Result, in_table: Sequence[str]) -> list[Markup]:
    """A strip for each sweep whose conditions are not all in the table already."""
    lines = []
    for sweep in result.positions:
        slots = ", ".join(str(slot) for slot in sweep.slots)
        names = [summary.condition for summary in sweep.summaries]
        lines.append((f"gold in slot {slots} of {sweep.passages}", names))
    if result.budgets:
        budgets = ", ".join(f"{budget:,}" for budget in result.budgets.budgets)
        names = [summary.condition for summary in result.budgets.summaries]
        lines.append((f"budget {budgets} tokens", names))
    if result.grid:
        names = [summary.condition for summary in result.grid.summaries]
        lines.append((grid_words(result.grid), names))
    return [
        tag(
            "div",
            _strip([outcomes.get(name) for name in names]),
            tag("span", words),
            class_="swept",
        )
        for words, names in lines
        if any(name in outcomes and name not in in_table for name in names)
    ]
