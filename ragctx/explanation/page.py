"""An explanation as one HTML page without scripts or anything fetched; document text is escaped."""

from __future__ import annotations

from html import escape

from ragctx.explanation.bar import Stretch, stretches
from ragctx.explanation.fates import Explanation, Fate
from ragctx.explanation.view import entry_words, imitation_words, selection_words
from ragctx.records import Segment
from ragctx.text.display import one_line, printable
from ragctx.views import certificate, number, place_words, section_line


def explanation_page(explained: Explanation) -> str:
    """The whole HTML page, its style included."""
    prompt = explained.prompt
    notes = "".join(f"<p class=note>{_text(line)}</p>" for line in imitation_words(explained))
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width">',
            f"<title>{_text(one_line(prompt.question, 80))}</title>",
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{_text(one_line(prompt.question))}</h1>",
            f"<p>{_text(certificate(prompt))}.</p>",
            f"<p>{_text(selection_words(explained))}.{_next(explained)}</p>",
            _bar(stretches(prompt)),
            notes,
            _table(explained),
            _frontier(explained),
            "<h2>The prompt</h2>",
            *(_segment(segment) for segment in prompt.segments if segment.text),
            "</body></html>\n",
        )
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _next(explained: Explanation) -> str:
    fate = explained.next_to_enter
    if fate is None:
        return ""
    return (
        f" Next: rank {fate.row.rank} ({_text(one_line(fate.row.document))}), {entry_words(fate)}."
    )


def _bar(parts: list[Stretch]) -> str:
    cells = (
        f'<div class="{part.kind}" style="flex-grow:{part.tokens};{_shade(part)}" '
        f'title="{_text(part.title or part.kind)}, {part.tokens:,} tokens">'
        f"{_sign(part)}</div>"
        for part in parts
    )
    legend = (
        "In the order of the prompt, as long as their tokens. Passages: the darker, the better the "
        "rank."
    )
    return f'<div class="bar">{"".join(cells)}</div><p class="legend">{legend}</p>'


def _sign(part: Stretch) -> str:
    sign = part.label or ("?" if part.kind == "question" else "")
    return f"<b>{_text(sign)}</b>" if sign else ""


def _shade(part: Stretch) -> str:
    if part.kind != "passage":
        return ""
    share = 25 + 75 * part.strength  # percent of the strong colour: the weakest is still visible
    return f"background:color-mix(in oklab, var(--strong) {share:.0f}%, var(--weak))"


def _table(explained: Explanation) -> str:
    columns = ("rank", explained.score_name, "tokens", "outcome", "in the prompt", "where", "why")
    head = "".join(f"<th>{_text(name)}</th>" for name in columns)
    rows = "".join(_row(fate) for fate in explained.one_for_each_rank)
    return f"<h2>Candidates</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(fate: Fate) -> str:
    row, chunk = fate.row, fate.hit.chunk
    score = number(row.score)
    place = f"[{fate.label}]" if fate.label else ""
    where = " · ".join(filter(None, (place_words(fate.hit), section_line(fate.hit))))
    why = "; ".join(filter(None, (row.reason, entry_words(fate))))
    return (
        f'<tr class="{row.outcome}"><td>{row.rank}</td>'
        f"<td>{'' if score is None else f'{score:.4f}'}</td><td>{row.tokens:,}</td>"
        f"<td><span>{row.outcome}</span></td><td>{place}</td>"
        f"<td><details><summary>{_text(where)}</summary><pre>{_text(chunk.text)}</pre></details>"
        f"</td><td>{_text(why)}</td></tr>"
    )


def _frontier(explained: Explanation) -> str:
    """What other budgets would buy, as a line that rises in steps; the present one is marked."""
    points = explained.frontier
    width, height = 600, 120
    tokens = max((x for x, _ in points), default=0) or 1
    most = max((y for _, y in points), default=0.0) or 1.0

    def at(x: float, y: float) -> tuple[str, str]:
        """Coordinates of a point on the drawing."""
        return f"{width * x / tokens:.1f}", f"{height - height * y / most:.1f}"

    steps = ""
    for point in points:
        x, y = at(*point)
        steps += f"H{x}V{y}"
    here_x, here_y = at(min(explained.room_tokens, tokens), min(explained.relevance, most))
    label = (
        f"The most summed relevance that up to {tokens:,} tokens of passages can buy. The mark is "
        f"this prompt: {explained.relevance:.2f} within {explained.room_tokens:,} tokens."
    )
    return (
        f'<h2>Other budgets</h2><svg viewBox="-6 -6 {width + 12} {height + 12}" role="img" '
        f'aria-label="{_text(label)}"><path class="steps" d="M0 {height}{steps}H{width}"/>'
        f'<circle class="here" cx="{here_x}" cy="{here_y}" r="5"/></svg>'
        f'<p class="legend">{_text(label)}</p>'
    )


def _segment(segment: Segment) -> str:
    name = f"passage [{segment.label}]" if segment.label else segment.kind
    return (
        f'<section class="{segment.kind}"><h3>{_text(name)} '
        f"<small>{len(segment.token_ids):,} tokens</small></h3>"
        f"<pre>{_text(segment.text)}</pre></section>"
    )


_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --paper: #fff; --line: #d5dbe2; --soft: #f3f5f8;
  --strong: #0b5cad; --weak: #d6e6f7; --other: #c9b458; --muted: #5d6b7a; --bad: #9c3d2e;
  --good: #11703c; --cut: #8a5a00 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --paper: #14181d; --line: #364049;
  --soft: #1d232a; --strong: #5aa9f5; --weak: #1d3247; --other: #8a7a2c; --muted: #98a5b3;
  --bad: #e58a79; --good: #6fcf97; --cut: #e0ae4f } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
h3 { font-size: .9rem; margin: 0 }
small, .legend { color: var(--muted); font-weight: normal; font-size: .85rem }
.bar { display: flex; gap: 2px; height: 2.6rem; margin-top: 1rem }
.bar div { flex: 1 1 0; min-width: 3px; border-radius: 3px; overflow: hidden; text-align: center;
  line-height: 2.6rem; background: var(--line) }
.bar .question { background: var(--other) }
.bar b { font-size: .8rem; background: var(--paper); color: var(--ink); border-radius: 3px;
  padding: 0 .3em }
.note { border-left: 4px solid var(--cut); padding-left: .7rem }
table { border-collapse: collapse; width: 100%; font-size: .9rem }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top }
td:nth-child(-n+3), th:nth-child(-n+3) { text-align: right; font-variant-numeric: tabular-nums }
tr.selected span { color: var(--good); font-weight: 600 } tr.dropped span { color: var(--bad) }
tr.trimmed span { color: var(--cut); font-weight: 600 }
tr.dropped, tr.merged { color: var(--muted) }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; font-size: .85rem }
svg { width: 100%; max-width: 42rem; border-bottom: 1px solid var(--line) }
.steps { fill: none; stroke: var(--strong); stroke-width: 2 } .here { fill: var(--cut) }
summary { cursor: pointer }
section { border-left: 4px solid var(--line); padding: .3rem .8rem; margin: .5rem 0;
  background: var(--soft) }
section.passage { border-color: var(--strong) } section.question { border-color: var(--other) }
"""
