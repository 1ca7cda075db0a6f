"""A model's thought told apart from its answer, while both come piece by piece.

Models that think write their thought between marks of their own: <think>…</think>,
[THINK]…[/THINK], channels (harmony, as gpt-oss). Many chat templates open the thought at the end of
the prompt, so that only its end is ever seen. A thought is no answer: nothing in it is cited, and a
model that thinks aloud that "this is not in the documents" has not said so yet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from ragctx.records import Generation

_HeldBack: TypeAlias = Callable[[str, tuple[str, ...]], int]
"""Characters at the end of a text that are not given out yet, given the marks they may begin."""

_CLOSER_OF = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<reason>": "</reason>",
    "<reflection>": "</reflection>",
    "<scratchpad>": "</scratchpad>",
    "<analysis>": "</analysis>",
    "<seed:think>": "</seed:think>",
    "<longcat_think>": "</longcat_think>",
    "<unused94>": "<unused95>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
    "<|channel|>analysis<|message|>": "<|end|>",
    "<|channel|>commentary<|message|>": "<|end|>",
    "Here is my thought process:": "Here is my response:",
    "Here's my thought process:": "Here's my response:",
}
_UNOPENED = (
    *(c for o, c in _CLOSER_OF.items() if "channel" not in o and not o.startswith("Here")),
    "assistantfinal",  # harmony from a server that leaves the marks out
)
"""What ends a thought that the prompt opened. Quoted ("`</think>`") it ends none."""
_AROUND_ANSWERS = (
    "<|start|>assistant",
    "<|channel|>final<|message|>",
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
    "<|begin_of_box|>",
    "<|end_of_box|>",
)
_WRAPS = {"<answer>": "</answer>", "<response>": "</response>"}
"""What some put around an answer, and others write in one: a wrap begins the answer."""
_ENDS = (
    "<|im_end|>",
    "<|end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|eot|>",
    "<|return|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
    "</s>",
)
"""What ends an answer, if a server that knows another end lets it through. A model that is not
stopped there goes on with turns of its own making."""
_MARKS = (*_CLOSER_OF, *_UNOPENED, *_AROUND_ANSWERS, *_WRAPS, *_WRAPS.values(), *_ENDS)
_MARK = re.compile("|".join(map(re.escape, sorted(_MARKS, key=len, reverse=True))))
_QUOTES = "`'\"“‘«"
_TOOL_CALL = re.compile(
    r"\A\s*(?:<(?:\w+:)?tool_call>|\[TOOL_CALLS\]|<\|python_(?:tag|start)\|>|<\|tool_call|"
    r"<function=|<start_function_call>|<\|action_start\|>|```tool_code|"
    r"<\|channel\|>commentary to=|<｜tool▁calls▁begin｜>|<｜DSML｜function_calls>)"
)


def opener_at_end(prompt: str) -> str:
    r"""The mark with which a prompt ends if it opens the thought; "" if it does not.

    >>> opener_at_end("<|im_start|>assistant\n<think>\n")
    '<think>'
    >>> opener_at_end("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    ''
    """
    end = prompt.rstrip()
    return next((opener for opener in _CLOSER_OF if end.endswith(opener)), "")


def calls_tool(text: str) -> bool:
    """Whether an answer is the call of a tool in one of the forms that models are trained on.

    >>> calls_tool('<tool_call>{"name": "search"}</tool_call>'), calls_tool("Call <tool_call>.")
    (True, False)
    >>> calls_tool('{"name": "search", "parameters": {"query": "tin"}}')
    True
    """
    return bool(_TOOL_CALL.match(text)) or _is_bare_call(text.strip())


def _is_bare_call(text: str) -> bool:
    """Whether a text is a call as Llama 3 and Mistral write it: one object, or a list of some."""
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return False
    try:
        calls = json.loads(text)
    except (ValueError, RecursionError):
        return False
    listed = calls if isinstance(calls, list) else [calls]
    return bool(listed) and all(
        isinstance(call, dict)
        and isinstance(call.get("name"), str)
        and isinstance(call.get("parameters", call.get("arguments")), dict)
        for call in listed
    )


def told_apart(text: str, *, opener: str = "", ended: bool = True) -> tuple[str, str]:
    """The thought and the answer in a whole text; see `ThoughtSplitter`.

    >>> told_apart("<think>Passage 2? No.</think> Three months [1].")
    ('Passage 2? No.', 'Three months [1].')
    """
    splitter = ThoughtSplitter(opener)
    splitter.push(text)
    splitter.finish(ended=ended)
    return splitter.thought, splitter.answer


def without_thought(generation: Generation) -> Generation:
    """The generation with a thought that its generator left in the text taken out of it."""
    if generation.spans:  # copied from a passage
        return generation
    ended = generation.finish_reason != "length"
    thought, answer = told_apart(generation.text, ended=ended)
    if not thought:
        return generation
    return replace(generation, text=answer, thought=generation.thought or thought)


class ThoughtSplitter:
    r"""Takes what a model writes piece by piece, and gives `on_answer` what of it is answer.

    `opener` is the mark with which the prompt opened the thought, if it did. A thought that nothing
    opened is known only when it ends: what was given out until then was no answer after all, and
    `answer` begins behind it.

    >>> pieces = []
    >>> splitter = ThoughtSplitter(on_answer=pieces.append)
    >>> for piece in ("<thi", "nk>Tin", "?</think>\n", "At 232", " °C"):
    ...     splitter.push(piece)
    >>> splitter.finish(ended=True)
    >>> splitter.thought, splitter.answer, pieces
    ('Tin?', 'At 232 °C', ['At 232', ' °C'])
    """

    def __init__(self, opener: str = "", on_answer: Callable[[str], None] | None = None) -> None:
        self._on_answer = on_answer
        self._opener = opener  # of the thought that the prompt opened, until that ends
        self._closer = _CLOSER_OF[opener] if opener else ""  # what ends the thought; "" outside one
        self._pending = ""
        self._thoughts: list[str] = []
        self._answers: list[str] = []
        self._trims = False  # whether space is left out, since a mark stood before it
        self._line_is_blank = True  # of what was given out
        self._last = ""  # character that was given out
        self._wrap = ""  # what ends the wrap around the answer, if it has one
        self._is_over = False  # whether the answer ended, whatever else comes

    @property
    def thought(self) -> str:
        """The thought so far, without its marks."""
        return "".join(self._thoughts).strip().removeprefix(self._opener or "<think>").strip()

    @property
    def answer(self) -> str:
        """The answer so far."""
        return "".join(self._answers)

    def push(self, piece: str) -> None:
        """Take the next piece, and give out what is certain to be answer."""
        if self._is_over:
            return
        self._pending += piece
        self._take(_unfinished)

    def finish(self, *, ended: bool) -> None:
        """Give out what was pending. Call once, at the end; `ended`: the model ended by itself.

        A model that the prompt made think, and that ended without ending its thought, did not think
        but answer.
        """
        if self._opener and ended:
            self._closer = self._opener = ""
            self._pending = ("".join(self._thoughts) + self._pending).lstrip()
            self._thoughts.clear()
        self._take(lambda pending, marks: 0)

    def _take(self, held_back: _HeldBack) -> None:
        """Sort what is pending, but for the end that may belong to a mark."""
        while self._take_thought(held_back) if self._closer else self._take_answer(held_back):
            pass

    def _take_thought(self, held_back: _HeldBack) -> bool:
        """Take what is thought; whether it ended."""
        before, closed, after = self._pending.partition(self._closer)
        if not closed:
            certain = len(before) - held_back(before, (self._closer,))
            self._thoughts.append(before[:certain])
            self._pending = before[certain:]
            return False
        self._thoughts.append(before)
        self._pending, self._closer, self._opener = after, "", ""
        self._trims = True
        return True

    def _take_answer(self, held_back: _HeldBack) -> bool:
        """Take what is answer, up to the next mark; whether there was one."""
        if self._trims:
            self._pending = self._pending.lstrip()
            self._trims = not self._pending
        mark = self._next_mark()
        if mark is None:
            kept = held_back(self._pending, _MARKS)
            certain = len(self._pending) - kept
            if kept and not self._answers and not self._pending[:certain].strip():
                certain = 0  # space before what may be a thought
            self._give(self._pending[:certain])
            self._pending = self._pending[certain:]
            return False
        before, self._pending = self._pending[: mark.start()], self._pending[mark.end() :]
        self._trims = True
        if mark.group() in _ENDS:
            self._give(before)
            self._is_over, self._pending = True, ""
            return False
        if mark.group() in _UNOPENED:
            self._thoughts += [*self._answers, before]
            self._answers.clear()
            self._line_is_blank = True
        else:
            self._give(before if self._answers or before.strip() else "")
            self._closer = _CLOSER_OF.get(mark.group(), "")
            self._wrap = _WRAPS.get(mark.group(), self._wrap)
        return True

    def _next_mark(self) -> re.Match[str] | None:
        """The first mark pending that means what it says."""
        for mark in _MARK.finditer(self._pending):
            before = self._pending[: mark.start()]
            if (before or self._last)[-1:] not in tuple(_QUOTES) and self._means(mark, before):
                return mark
        return None

    def _means(self, mark: re.Match[str], before: str) -> bool:
        """Whether a mark means what it says where it stands, behind `before`."""
        text = mark.group()
        if text in _WRAPS:
            return not self._answers and not before.strip()
        if text in _WRAPS.values():
            return text == self._wrap
        if text == "</s>":  # HTML has it too, for what is struck through
            return "<s>" not in before and "<s>" not in self.answer
        _, cut, line = before.rpartition("\n")
        begins_line = not line.strip() and (bool(cut) or self._line_is_blank)
        return text not in _CLOSER_OF or begins_line

    def _give(self, text: str) -> None:
        if not text:
            return
        self._answers.append(text)
        _, cut, line = text.rpartition("\n")
        self._line_is_blank = not line.strip() and (bool(cut) or self._line_is_blank)
        self._last = text[-1]
        if self._on_answer:
            self._on_answer(text)


def _unfinished(pending: str, marks: tuple[str, ...]) -> int:
    """How many characters at the end of `pending` may be the beginning of one of `marks`."""
    if not pending.strip():
        return len(pending)  # before a mark space is left out
    longest = min(len(pending), max(map(len, marks)) - 1)
    for size in range(longest, 0, -1):
        if any(mark.startswith(pending[-size:]) for mark in marks):
            return size
    return 0
