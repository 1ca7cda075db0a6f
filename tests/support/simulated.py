"""Generators whose accuracy by position is planted, and questions to ask them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from ragctx.evaluation.datasets import LabelledPassage, LabelledQuestion, QuestionSet
from ragctx.records import CopiedSpan, Generation, Prompt
from tests.support.fakes import WordTokenizer


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` alone."""
    digest = sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def questions(count: int, passages: int) -> QuestionSet:
    """Question i asks for place i; its gold passage is among others that look like it."""
    made = tuple(
        LabelledQuestion(
            id=f"q{i}",
            question=f"Which number has place {i}?",
            answers=(f"number{i}",),
            passages=tuple(
                LabelledPassage(
                    text=f"Place {i} has the number number{i}.", title=f"place {i}", is_gold=True
                )
                if j == 0
                else LabelledPassage(
                    text=f"Place {i}{j} has the number other{j}.", title=f"place {i}{j}"
                )
                for j in range(passages)
            ),
        )
        for i in range(count)
    )
    return QuestionSet(path="simulated.jsonl", sha256="0" * 64, layout="ragctx", questions=made)


class QuickTokenizer(WordTokenizer):
    """WordTokenizer with a dictionary: a sweep meets thousands of words."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, int] = {}

    def _id(self, word: str) -> int:
        if word not in self._known:
            self._known[word] = len(self._words)
            self._words.append(word)
        return self._known[word]


class PositionalGenerator:
    """Answers rightly with probability `accuracy(share of the way through the passages)`.

    A question is always answered the same way under the same prompt, as by a greedy model. Without
    the gold passage it refuses.
    """

    template = "plain"
    caches_prompts = False
    decoding = "greedy"
    only_language = ""
    threshold = 0.0  # a setting that its answers could depend on

    def __init__(
        self,
        accuracy: Callable[[float], float],
        *,
        name: str = "positional",
        context_window: int = 4096,
    ) -> None:
        self.name = name
        self.accuracy = accuracy
        self.context_window = context_window
        self.tokenizer = QuickTokenizer()
        self.asked = 0

    def identity(self) -> tuple[str, ...]:
        return self.name, "greedy", repr(self.threshold)

    def forget(self) -> None:
        """It caches nothing."""

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        self.asked += 1
        number = prompt.question.split()[-1].rstrip("?")
        slots = [i for i, p in enumerate(prompt.passages) if f"number{number}." in p.text]
        if not slots:
            return Generation(
                text="",
                token_ids=(),
                finish_reason="abstain",
                prefill_s=0.01,
                decode_s=0.0,
                reused_tokens=0,
                confidence=0.1,
            )
        share = slots[0] / max(1, len(prompt.passages) - 1)
        order = tuple(passage.text for passage in prompt.passages)
        right = chance(prompt.question, order) < self.accuracy(share)
        span = CopiedSpan(slots[0], 0, 5)  # as the bundled reader, it says where from
        text = f"number{number}" if right else "number"
        return Generation(
            text=text,
            token_ids=(1, 2, 3),
            finish_reason="stop",
            prefill_s=0.01,
            decode_s=0.02,
            reused_tokens=0,
            confidence=None,
            spans=(span,),
        )


def edges_read_best(share: float) -> float:
    """0.9 at both ends, 0.5 in the middle."""
    return 0.5 + 0.4 * abs(2 * share - 1)


def level(share: float) -> float:
    """The same everywhere."""
    return 0.7


def rows_of(questions: QuestionSet) -> Sequence[dict[str, object]]:
    """The questions in ragctx's own layout."""
    return [
        {
            "id": q.id,
            "question": q.question,
            "answers": list(q.answers),
            "ctxs": [{"title": p.title, "text": p.text, "isgold": p.is_gold} for p in q.passages],
        }
        for q in questions.questions
    ]
