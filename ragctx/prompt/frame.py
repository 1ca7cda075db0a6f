"""What surrounds the passages: template and chat frame, counted before passages are chosen."""

from __future__ import annotations

from collections.abc import Sequence

from ragctx.errors import InputError
from ragctx.prompt.template import Part, Template
from ragctx.prompt.window import Window, share_window
from ragctx.records import Segment, SegmentKind
from ragctx.tokens.tokenizer import KnowsSystemRole, Tokenizer


def frame_tokens(template: Template, question: str, tokenizer: Tokenizer) -> int:
    """Tokens of all that is not a passage: instructions, the question, the chat template's frame.

    >>> from ragctx.prompt.template import load_template
    >>> from ragctx.tokens.load import load_tokenizer
    >>> frame_tokens(load_template("reader"), "When does tin melt?", load_tokenizer("bundled"))
    7
    """
    before, after = _frame(template, question, tokenizer)
    return _tokens(*before, *after)


def room_for_passages(
    template: Template,
    question: str,
    tokenizer: Tokenizer,
    *,
    context_window: int,
    max_new_tokens: int,
    budget_tokens: int | None = None,
) -> int:
    """Tokens left for passages: what to give to `budget.fill`.

    Args:
        template: its instructions are subtracted.
        question: subtracted as well.
        tokenizer: the generator's.
        context_window: tokens the model holds at once, prompt and answer together.
        max_new_tokens: reserved for the answer.
        budget_tokens: bound of the whole prompt; default all that the answer leaves.

    Raises:
        InputError: the question is empty, a number is not positive, budget and answer do not fit in
            the window together, or the template and question alone are more than the budget.
    """
    window = share_window(context_window, max_new_tokens, budget_tokens)
    before, after = _frame(template, question, tokenizer)
    return _room(template, window, [*before, *after])


def _tokens(*segments: Segment) -> int:
    return sum(len(segment.token_ids) for segment in segments)


def _room(template: Template, window: Window, frame: Sequence[Segment]) -> int:
    """What the frame leaves for passages."""
    tokens = _tokens(*frame)
    over = tokens - window.budget_tokens
    if over <= 0:
        return -over
    asked = _tokens(*(segment for segment in frame if segment.kind == "question"))
    instead = "ask a shorter question" if asked > tokens - asked else "use a shorter --template"
    raise InputError(
        f"The template {template.name} and the question alone take {tokens} tokens, {over} more "
        f"than the budget of {window.budget_tokens}: the question {asked}, the template "
        f"{tokens - asked}. To make them fit, {window.remedies(over)}, or {instead}; passages need "
        "room beside them."
    )


def _frame(
    template: Template, question: str, tokenizer: Tokenizer
) -> tuple[list[Segment], list[Segment]]:
    """The segments before the passages and after them."""
    if not question.strip():
        raise InputError(f"The question is empty: {question!r}. Ask something.")

    def segment(part: Part) -> Segment:
        text, encode = part.text, tokenizer.encode_markup
        kind: SegmentKind = "instruction"
        if part.slot:
            text, encode, kind = question, tokenizer.encode, "question"
        return Segment(kind=kind, label="", text=text, token_ids=tuple(encode(text)))

    opening, closing = _chat_frame(template.system, tokenizer)
    before = [*([Part(opening)] if opening else []), *template.before]
    after = [*template.after, *([Part(closing)] if closing else [])]
    return [segment(part) for part in before], [segment(part) for part in after]


def _chat_frame(system: str, tokenizer: Tokenizer) -> tuple[str, str]:
    """What stands around the user's message, with the system's words where the model wants them."""
    if system and tokenizer.chat_frame and isinstance(tokenizer, KnowsSystemRole):
        frame = tokenizer.system_frame
        if frame is not None:
            return frame[0] + system.strip() + frame[1], frame[2]
    opening, closing = tokenizer.chat_frame or ("", "")
    return opening + (f"{system.strip()}\n\n" if system.strip() else ""), closing
