"""Records as JSON objects, and as words for people. Pure.

The names in the JSON objects are an interface: names may be added, none is ever changed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import get_args

from ragctx.attribution import Attribution
from ragctx.certificate import Certificate, SegmentKind
from ragctx.file_formats import unit_of
from ragctx.headers import section_words
from ragctx.ingest_ledger import IngestOutcome, IngestRow
from ragctx.records import (
    Alternative,
    Answer,
    Citation,
    Hit,
    LedgerRow,
    PageStatus,
    Prompt,
)
from ragctx.text.display import one_line
from ragctx.text.wording import counted

View = dict[str, object]

_READ = ("added", "replaced")
"""Outcomes of files that were read in this run."""

_OUTCOMES: tuple[IngestOutcome, ...] = get_args(IngestOutcome)
"""All outcomes, in the order in which they are reported."""

# ---- JSON ------------------------------------------------------------------------------------


def number(value: float | None) -> float | None:
    """`value`, or None where JSON has no number for it.

    >>> number(0.5), number(float("nan"))
    (0.5, None)
    """
    return value if value is not None and math.isfinite(value) else None


def hit_view(hit: Hit) -> View:
    """One search result."""
    return {
        "rank": hit.rank,
        "score": number(hit.score),
        "retrieved_rank": hit.retrieved_rank,
        "document": hit.document,
        "path": hit.path,
        "first_page": hit.chunk.first_page,
        "last_page": hit.chunk.last_page,
        "unit": unit_of(hit.document),
        "start": hit.chunk.start,
        "end": hit.chunk.end,
        "text": hit.chunk.text,
        "chunk": hit.chunk.id,
        "title": hit.chunk.title,
        "section": list(hit.chunk.section),
        "lead_in": hit.chunk.lead_in,
    }


def search_view(question: str, hits: Iterable[Hit]) -> View:
    """The JSON object of `ragctx search --json`."""
    return {"question": question, "hits": [hit_view(hit) for hit in hits]}


def ledger_row_view(row: LedgerRow) -> View:
    """What became of one candidate."""
    return {
        "chunk": row.chunk,
        "document": row.document,
        "rank": row.rank,
        "score": number(row.score),
        "tokens": row.tokens,
        "outcome": row.outcome,
        "reason": row.reason,
        "section": list(row.section),
    }


def ledger_view(ledger: Iterable[LedgerRow]) -> list[View]:
    """What became of every candidate."""
    return [ledger_row_view(row) for row in ledger]


def certificate_view(sums: Certificate) -> View:
    """How a prompt's tokens add up: prompt, answer and slack are the window."""
    segments = [asdict(segment) for segment in sums.segments]
    return {**asdict(sums), "slack_tokens": sums.slack_tokens, "segments": segments}


def prompt_view(prompt: Prompt) -> View:
    """The JSON object of `ragctx prompt --json`."""
    return {
        "question": prompt.question,
        "text": prompt.text,
        "token_count": prompt.token_count,
        "token_ids": list(prompt.token_ids),
        "context_window": prompt.context_window,
        "max_new_tokens": prompt.max_new_tokens,
        "budget_tokens": prompt.budget_tokens,
        "placement": prompt.placement,
        "segments": [asdict(segment) for segment in prompt.certificate.segments],
        "certificate": certificate_view(prompt.certificate),
        "saved_tokens": prompt.saved_tokens,
        "ledger": ledger_view(prompt.ledger),
    }


def citation_view(citation: Citation) -> View:
    """One source of an answer."""
    return {**asdict(citation), "page_labels": list(citation.page_labels)}


def alternative_view(alternative: Alternative) -> View:
    """Another answer beside an unsure one."""
    return {
        "answer": alternative.text,
        "is_conflict": alternative.is_conflict,
        "citation": citation_view(alternative.citation),
    }


def answer_view(answer: Answer) -> View:
    """The JSON object of `ragctx ask --json`. Of an abstention the answer is ""."""
    prompt, generation = answer.prompt, answer.generation
    return {
        "question": answer.question,
        "answer": "" if answer.abstained else answer.text,
        "abstained": answer.abstained,
        "outcome": answer.outcome,
        "confidence": number(answer.confidence),
        "refusal": None if answer.refusal is None else asdict(answer.refusal),
        "nearest": [hit_view(hit) for hit in answer.nearest],
        "alternatives": [alternative_view(other) for other in answer.alternatives],
        "scale": answer.scale or None,
        "finish_reason": generation.finish_reason,
        "thought": generation.thought,
        "approximate": generation.approximate,
        "citations": [citation_view(citation) for citation in answer.citations],
        "placement": prompt.placement,
        "usage": {
            "context_window": prompt.context_window,
            "budget_tokens": prompt.budget_tokens,
            "prompt_tokens": prompt.token_count,
            "max_new_tokens": prompt.max_new_tokens,
            "new_tokens": len(generation.token_ids),
            "reused_tokens": generation.reused_tokens,
            "slack_tokens": prompt.certificate.slack_tokens,
            "cached_tokens": prompt.cached_tokens,
            "order_saved_tokens": prompt.order_saved_tokens,
        },
        "timing": {stage: round(seconds, 6) for stage, seconds in answer.timing},
        "model": answer.model,
    }


def attribution_view(attributions: Sequence[Attribution], prompt: Prompt) -> list[View]:
    """One row for each passage, in prompt order.

    `log_probability_without` is null where no other passage contains the answer.
    """
    return [
        {
            "label": attribution.label,
            "document": segment.hit.document if segment.hit else "",
            "log_probability": number(attribution.log_probability),
            "log_probability_without": number(attribution.without),
            "probability_lost": number(attribution.probability_lost),
        }
        for attribution, segment in zip(attributions, prompt.passages, strict=True)
    ]


def ingest_row_view(row: IngestRow) -> View:
    """One file's row in the ingest ledger."""
    problems = [{"page": page, "status": status} for page, status in row.page_problems]
    view = {**asdict(row), "page_problems": problems, "warnings": list(row.warnings)}
    return {**view, "unit": unit_of(row.path)}


def ingest_view(rows: Sequence[IngestRow], seconds: float) -> View:
    """The JSON object of `ragctx ingest --json`. Pages and chunks are those read in this run.

    >>> rows = [IngestRow(path="a.pdf", outcome="added", status="ok", pages=8, chunks=20)]
    >>> ingest_view(rows, 2.0)["pages_per_s"]
    4.0
    """
    pages = sum(row.pages for row in rows if row.outcome in _READ)
    chunks = sum(row.chunks for row in rows if row.outcome in _READ)
    return {
        "rows": [ingest_row_view(row) for row in rows],
        "files": len(rows),
        "pages": pages,
        "chunks": chunks,
        "seconds": round(seconds, 6),
        "pages_per_s": round(pages / seconds, 3) if seconds else 0.0,
        "chunks_per_s": round(chunks / seconds, 3) if seconds else 0.0,
    }


# ---- Words for people ------------------------------------------------------------------------


def place_words(hit: Hit) -> str:
    """Where a passage is from: document and pages or sections, as far as they are known."""
    return ", ".join(filter(None, map(one_line, (hit.document, hit.place))))


def section_line(hit: Hit) -> str:
    """The headings above a passage, on one line; "" where none is known, or its place tells."""
    return one_line(section_words(hit.chunk)) if unit_of(hit.document) == "page" else ""


def status_words(citation: Citation) -> str:
    """Whether the quote was found on the cited pages, in words. That does not make it the answer.

    >>> from dataclasses import replace
    >>> from ragctx.records import Citation
    >>> citation = Citation(
    ...     label="1",
    ...     document="a.pdf",
    ...     path="a.pdf",
    ...     first_page=3,
    ...     last_page=3,
    ...     start=0,
    ...     end=4,
    ...     quote="Tin.",
    ...     status="verified",
    ... )
    >>> status_words(citation), status_words(replace(citation, last_page=4, status="unverified"))
    ('quote found on this page', '✗ not found on these pages')
    """
    if citation.status == "unknown_label":
        return "✗ no such passage"
    if citation.first_page is None:
        place = "in this passage"
    elif citation.first_page == citation.last_page:
        place = "on this page" if citation.unit == "page" else "in this section"
    else:
        place = "on these pages" if citation.unit == "page" else "in these sections"
    return f"quote found {place}" if citation.status == "verified" else f"✗ not found {place}"


def quote_parts(citation: Citation, width: int) -> tuple[str, str, str]:
    """The quote on one line, cut to `width`: before the answer, the answer, and after it.

    Where the answer is not known to be in it, all of the quote is before it.
    """
    begin = stop = len(citation.quote)
    if citation.answer_start is not None and citation.answer_end is not None:
        begin, stop = citation.answer_start - citation.start, citation.answer_end - citation.start
    whole = one_line(citation.quote, width)
    before = len(one_line(citation.quote[:begin] + "|")) - 1
    after = len(one_line("|" + citation.quote[stop:])) - 1
    end = len(one_line(citation.quote)) - after
    return whole[:before], whole[before:end], whole[end:]


def citation_words(citation: Citation) -> str:
    """A source in one line, without its quote and status."""
    if citation.status == "unknown_label":
        return f"[{citation.label}]"
    place = ", ".join(filter(None, (one_line(citation.document), citation.place)))
    return f"[{citation.label}] {place}"


def confidence_words(confidence: float, is_sure: bool) -> str:
    """How sure an answer is; a guess with a warning.

    >>> confidence_words(0.92, True), confidence_words(0.41, False)
    ('sure (92 %)', 'unsure (41 %): only a guess, read the source')
    """
    percent = f"{100 * confidence:.0f} %"
    return f"sure ({percent})" if is_sure else f"unsure ({percent}): only a guess, read the source"


def alternative_words(alternative: Alternative) -> str:
    """Another answer in one line, with where it stands."""
    says = "says otherwise: " if alternative.is_conflict else ""
    citation = alternative.citation
    place = ", ".join(filter(None, (one_line(citation.document), citation.place)))
    return (
        f"{place} {says}{one_line(alternative.text)}"
        if says
        else (f"{one_line(alternative.text)}  ({place})")
    )


def certificate(prompt: Prompt) -> str:
    """One line that adds up: tokens of each kind, those kept for the answer, the window."""
    sums = prompt.certificate
    kinds: tuple[SegmentKind, ...] = ("instruction", "passage", "question", "answer")
    tokens = {kind: sums.tokens_of(kind) for kind in kinds}
    parts = " + ".join(f"{kind} {count}" for kind, count in tokens.items() if count)
    as_text = "" if sums.text_tokens is None else f"; as text {sums.text_tokens}"
    saved = f"; merging saved {prompt.saved_tokens}" if prompt.saved_tokens else ""
    if sums.cached_tokens is not None:
        saved += f"; {sums.cached_tokens} cached, {sums.order_saved_tokens} of them by the order"
    return (
        f"{counted(sums.prompt_tokens, 'token')} = {parts} "
        f"({counted(len(prompt.passages), 'passage')}, {prompt.placement}){as_text}; "
        f"+ {sums.max_new_tokens} for the answer <= window {sums.context_window}; "
        f"slack {sums.slack_tokens}; budget {sums.budget_tokens}{saved}"
    )


def is_plain(row: IngestRow) -> bool:
    """Whether the whole file is in the index, so that there is nothing to tell about it."""
    return is_in_index(row) and row.status == "ok"


def is_in_index(row: IngestRow) -> bool:
    """Whether the file is on disk and in the index after the run; one without text counts."""
    return row.outcome not in ("failed", "removed", "vanished")


def with_cause(row: IngestRow, ocr_command: str = "ragctx ingest PATH --ocr auto") -> IngestRow:
    """The row of a file without all of its text, with why that is, as far as it is known.

    `ocr_command` is what would read its pages by OCR.

    >>> row = IngestRow(path="a.pdf", outcome="added", status="no_text", pages=2)
    >>> with_cause(replace(row, page_problems=((1, "garbled"), (2, "garbled")))).message
    'fonts without letters, OCR needed; this would read 2 pages: ragctx ingest PATH --ocr auto'
    >>> partial = replace(row, status="partial", message="1 of 2 pages gave no text")
    >>> with_cause(replace(partial, page_problems=((2, "timeout"),))).message
    '1 of 2 pages gave no text: over the time limit (page 2)'
    """
    pages: dict[PageStatus, list[str]] = {}
    for number, status in row.page_problems:
        pages.setdefault(status, []).append(str(number))
    if not pages:
        blank = row.status == "no_text" and _BLANK in row.warnings
        return replace(row, message=f"{_BLANK}; if it is not, run OCR on it") if blank else row
    readable = sum(status in _FOR_OCR for _, status in row.page_problems)
    remedy = f"; this would read {counted(readable, 'page')}: {ocr_command}" * bool(readable)
    if row.status == "no_text":
        causes = " and ".join(_CAUSES.get(status, status) for status in pages)
        return replace(row, message=f"{causes}, OCR needed{remedy}")
    known = "; ".join(f"{_remedy(status)} ({_page_list(pages[status])})" for status in pages)
    return replace(row, message=f"{row.message or 'not all pages gave text'}: {known}{remedy}")


def _remedy(status: PageStatus) -> str:
    return _CAUSES.get(status, status) + ", OCR needed" * (status in _FOR_OCR)


_CAUSES: dict[PageStatus, str] = {
    "scanned": "pictures without text",
    "garbled": "fonts without letters",
    "timeout": "over the time limit",
    "corrupt": "damaged",
    "too_long": "beyond the characters that a file may hold",
}
_BLANK = "every page is blank"  # a warning of `ragctx.pdf`
_FOR_OCR = ("scanned", "garbled")
_PAGES_LISTED = 5


def _page_list(numbers: Sequence[str]) -> str:
    more = f" and {len(numbers) - _PAGES_LISTED:,} more" if len(numbers) > _PAGES_LISTED else ""
    return f"page{'s' * (len(numbers) > 1)} {', '.join(numbers[:_PAGES_LISTED])}{more}"


def ingest_words(rows: Sequence[IngestRow], seconds: float) -> str:
    """The summary of an ingest run, in one line.

    >>> ingest_words(
    ...     [IngestRow(path="a.pdf", outcome="added", status="ok", pages=8, chunks=20)], 2.0
    ... )
    '1 file: 1 added; 8 pages, 20 chunks in 2.0 s (4 pages/s, 10 chunks/s)'
    """
    totals = ingest_view(rows, seconds)
    counts = Counter(row.outcome for row in rows)
    outcomes = ", ".join(f"{counts[name]:,} {name}" for name in _OUTCOMES if counts[name])
    units = sorted({unit_of(row.path) for row in rows if row.outcome in _READ}) or ["page"]
    parts = " and ".join(f"{unit}s" for unit in units)
    return (
        f"{counted(len(rows), 'file')}: {outcomes}; {totals['pages']:,} {parts}, "
        f"{totals['chunks']:,} chunks in {seconds:.1f} s "
        f"({totals['pages_per_s']:.3g} {parts}/s, {totals['chunks_per_s']:.3g} chunks/s)"
    )
