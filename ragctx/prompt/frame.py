"""The frame of a prompt: everything but its passages, tokenised once before they are chosen.

The template's instructions, the question, and the model's chat template around them all take
tokens; what they leave of the budget is the room for passages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ragctx.errors import InputError
from ragctx.prompt.template import Part, Template
from ragctx.prompt.window import Window, share_window
from ragctx.records import Role, Segment
from ragctx.tokens.tokenizer import JoinsParts, KnowsSystemRole, Tokenizer, within_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The segments before the passages and after them, and the window they share.

    `build_frame` makes one; `ragctx.prompt.build.fill_frame` puts passages into it.
    """

    template: Template
    question: str
    window: Window
    before: tuple[Segment, ...]
    after: tuple[Segment, ...]

    @property
    def token_count(self) -> int:
        """Tokens of the frame: of all segments that are not passages."""
        return count_tokens((*self.before, *self.after))

    @property
    def room_tokens(self) -> int:
        """Tokens left for passages."""
        return self.window.budget_tokens - self.token_count


def build_frame(template: Template, question: str, tokenizer: Tokenizer, window: Window) -> Frame:
    """Tokenise everything but the passages.

    Args:
        template: its instructions go before and after the passages.
        question: takes the place of {question} in the template.
        tokenizer: the generator's; its chat template, if any, goes around the whole prompt.
        window: how the context window is shared, see `share_window`.

    Raises:
        InputError: the question is blank, or the template and the question alone take more than
            the budget.
    """
    before, after = _segments_around(template, question, tokenizer)
    frame = Frame(template=template, question=question, window=window, before=before, after=after)
    if frame.room_tokens < 0:
        raise InputError(_too_large(frame))
    return frame


def frame_tokens(template: Template, question: str, tokenizer: Tokenizer) -> int:
    """Tokens of everything but the passages: instructions, question, chat template.

    >>> from ragctx.prompt.template import load_template
    >>> from ragctx.tokens.load import load_tokenizer
    >>> frame_tokens(load_template("reader"), "When does tin melt?", load_tokenizer("bundled"))
    7
    """
    before, after = _segments_around(template, question, tokenizer)
    return count_tokens((*before, *after))


def room_for_passages(
    template: Template,
    question: str,
    tokenizer: Tokenizer,
    *,
    context_window: int,
    max_new_tokens: int,
    budget_tokens: int | None = None,
) -> int:
    """Tokens left for passages: the room to give to `ragctx.selection.fill`.

    Args:
        template: its instructions are subtracted.
        question: subtracted as well.
        tokenizer: the generator's.
        context_window: tokens the model holds at once, prompt and answer together.
        max_new_tokens: reserved for the answer.
        budget_tokens: bound of the whole prompt; default all that the answer leaves.

    Raises:
        InputError: the question is blank, a number is not positive, budget and answer do not fit in
            the window together, or the template and question alone are more than the budget.
    """
    window = share_window(context_window, max_new_tokens, budget_tokens)
    return build_frame(template, question, tokenizer, window).room_tokens


def count_tokens(segments: Iterable[Segment]) -> int:
    """Tokens of some segments."""
    return sum(len(segment.token_ids) for segment in segments)


def _segments_around(
    template: Template, question: str, tokenizer: Tokenizer
) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """The segments before the passages and those after them."""
    if not question.strip():
        raise InputError(f"The question is empty: {question!r}. Ask something.")
    tokenizer = within_text(tokenizer)
    opening, closing = _chat_segments(template.system, tokenizer)
    before = (_segment(part, question, tokenizer) for part in template.before)
    after = (_segment(part, question, tokenizer) for part in template.after)
    return (*opening, *before), (*after, *closing)


def _segment(part: Part, question: str, tokenizer: Tokenizer) -> Segment:
    """A part of the template, or the question in its place."""
    if part.slot:
        return Segment(
            kind="question", label="", text=question, token_ids=tuple(tokenizer.encode(question))
        )
    token_ids = tuple(tokenizer.encode_markup(part.text))
    return Segment(kind="instruction", label="", text=part.text, token_ids=token_ids)


def _chat_segments(
    system: str, tokenizer: Tokenizer
) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """What the model's chat template puts before and after the user's message, none if it has none.

    The template's system prompt goes to the system's turn. A model without such a turn gets it at
    the beginning of the user's.
    """
    system = system.strip()
    if system and tokenizer.chat_frame and isinstance(tokenizer, KnowsSystemRole):
        frame = tokenizer.system_frame
        if frame is not None:
            opening = _chat_segment(tokenizer, frame[0] + system + frame[1], "system", system)
            return opening, _chat_segment(tokenizer, frame[2], "user", "")
    lead = f"{system}\n\n" if system else ""
    if tokenizer.chat_frame is None:
        leading = _chat_segment(tokenizer, lead, "user", lead)
        if isinstance(tokenizer, JoinsParts) and tokenizer.joins_parts:
            return (*_chat_segment(tokenizer, tokenizer.opening, "user", ""), *leading), ()
        return leading, ()
    before, after = tokenizer.chat_frame
    opening = _chat_segment(tokenizer, before + lead, "user", lead)
    return opening, _chat_segment(tokenizer, after, "user", "")


def _chat_segment(
    tokenizer: Tokenizer, text: str, role: Role, message_text: str
) -> tuple[Segment, ...]:
    """A segment whose text is the chat template's but for `message_text`; none for no text."""
    if not text:
        return ()
    segment = Segment(
        kind="instruction",
        label="",
        text=text,
        token_ids=tuple(tokenizer.encode_markup(text)),
        role=role,
        framed_text=message_text,
    )
    return (segment,)


def _too_large(frame: Frame) -> str:
    """The message of a frame that takes more than the budget, with what would make it fit."""
    tokens, over = frame.token_count, -frame.room_tokens
    asked = count_tokens(s for s in (*frame.before, *frame.after) if s.kind == "question")
    instead = "ask a shorter question" if asked > tokens - asked else "use a shorter --template"
    return (
        f"The template {frame.template.name} and the question alone take {tokens} tokens, {over} "
        f"more than the budget of {frame.window.budget_tokens}: the question {asked}, the template "
        f"{tokens - asked}. To make them fit, {frame.window.remedies(over)}, or {instead}; "
        "passages need room beside them."
    )
