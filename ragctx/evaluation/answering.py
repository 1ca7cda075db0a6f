"""From prompts to answers: each distinct prompt is answered once, or read from the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragctx.evaluation.answer_cache import AnswerCache, answer_key
from ragctx.records import Generation, Prompt

if TYPE_CHECKING:
    from ragctx.generator.protocol import Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """Answers prompts with one model.

    `workers` prompts are asked at once; more than 1 is for a model on a server. A local model uses
    all cores already, and reuses what it has read only when asked one prompt after another.
    """

    generator: Generator
    model_hash: str
    cache: AnswerCache | None = None
    workers: int = 1

    def answers(
        self, prompts: Sequence[Prompt], on_share: Callable[[float], None] | None = None
    ) -> list[Generation]:
        """The answer to each prompt, in order; all are in the cache, if there is one, on return.

        `on_share` is called before each answer of a local model with the share that is answered.
        """
        keys = [self._key(prompt) for prompt in prompts]
        known = self.cache.find(dict.fromkeys(keys)) if self.cache else {}
        missing = {k: p for k, p in zip(keys, prompts, strict=True) if k not in known}
        if missing:
            answers = self._generate(list(missing.values()), on_share)
            new = dict(zip(missing, answers, strict=True))
            if self.cache:
                self.cache.keep(new)
            known.update(new)
        return [known[key] for key in keys]

    def cold_latency_s(self, prompt: Prompt) -> float:
        """Seconds to answer a prompt of which nothing was read before.

        Measured once per prompt if there is a cache: later calls give the stored time.
        """
        key = "cold:" + self._key(prompt)
        known = self.cache.find([key]) if self.cache else {}
        if key not in known:
            self.generator.forget()
            known = {key: replace(self.generator.generate(prompt), spans=())}
            if self.cache:
                self.cache.keep(known)
        return known[key].prefill_s + known[key].decode_s

    def _key(self, prompt: Prompt) -> str:
        return answer_key(self.model_hash, self.generator.decoding, prompt)

    def _generate(
        self, prompts: list[Prompt], on_share: Callable[[float], None] | None
    ) -> list[Generation]:
        if self.workers == 1:
            return generate_all(self.generator, prompts, on_share)
        with ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(self.generator.generate, prompts))


def generate_all(
    generator: Generator,
    prompts: Sequence[Prompt],
    on_share: Callable[[float], None] | None = None,
) -> list[Generation]:
    """The answer to each prompt, in order, as `generator.generate` gives it.

    Prompts are asked in the order of their token ids: those with a common beginning follow each
    other, so that a generator that keeps the last prompt's prefix can reuse it.
    """
    order = sorted(range(len(prompts)), key=lambda i: prompts[i].token_ids)
    answers = {}
    for done, i in enumerate(order):
        if on_share:
            on_share(done / len(order))
        answers[i] = generator.generate(prompts[i])
    return [answers[i] for i in range(len(prompts))]
