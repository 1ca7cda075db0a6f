"""What a loaded model really takes, to be put beside its plan."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ragctx.generator.huggingface.model import HuggingFaceGenerator
from ragctx.generator.huggingface.weights import stored_bytes

_STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one model took on this machine, once: other work shows in the times."""

    weights_bytes: int
    kv_bytes_per_token: int | None  # None where nothing is kept for each token
    prompt_tokens: int
    prefill_tokens_per_s: float
    step_s: float  # for one more token


def measure(generator: HuggingFaceGenerator, prompt_tokens: int = 256) -> Measured:
    """Read some ids, and then one after another."""
    reading = generator.reading
    prompt_tokens = max(1, min(prompt_tokens, generator.context_window - _STEPS))
    ids = [1 + 7 * i % (reading.vocabulary_size - 1) for i in range(prompt_tokens)]
    generator.next_scores(ids[:1])  # the first pass of all is slow
    generator.forget()
    began = time.perf_counter()
    run, _, _ = reading.read(ids)
    prefilled = time.perf_counter()
    for token in range(_STEPS):
        reading.step(run, token)
    step_s = (time.perf_counter() - prefilled) / _STEPS
    reading.keep(run)
    return Measured(
        weights_bytes=sum(map(stored_bytes, reading.model.parameters())),  # tied ones come once
        kv_bytes_per_token=generator.kv_bytes_per_token,
        prompt_tokens=prompt_tokens,
        prefill_tokens_per_s=prompt_tokens / (prefilled - began),
        step_s=step_s,
    )
