"""The bundled reader: passages read one by one, the question over all of them, the answer copied.

Passages that are not in the cache are encoded, each alone (`encode`). The question is read over all
of them (`prefill`); the likeliest take a second pass together with the question (`passes`). The
answer is a span of one passage, so it is its own citation; that the passages do not hold the answer
is an outcome with a probability of its own (`calibration`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ragctx.arguments import require_kind
from ragctx.errors import ModelError, TemplateError
from ragctx.generator.reader.calibration import (
    Calibration,
    Evidence,
    calibration_of,
    evidence_of,
)
from ragctx.generator.reader.certainty import Certainty, Signs, certainty_of
from ragctx.generator.reader.checkpoint import FOLDER, ReaderFiles, load_weights, reader_files
from ragctx.generator.reader.choice import choose
from ragctx.generator.reader.context import (
    context_of,
    locate,
    passage_at,
    similarities_of,
    split_prompt,
)
from ragctx.generator.reader.decode import Decoder, LikeliestToken, decode_tokens
from ragctx.generator.reader.int8 import in_int8
from ragctx.generator.reader.kv_cache import KVCache
from ragctx.generator.reader.network import QuestionStates, ReaderNetwork
from ragctx.generator.reader.passage_cache import PassageCache
from ragctx.generator.reader.passage_store import PassageStore
from ragctx.generator.reader.passages import CachedPassage, Tokens
from ragctx.generator.reader.passes import PassResult, Prior, read_twice
from ragctx.generator.reader.prefill import concatenate, question_mask, read_over
from ragctx.generator.reader.rope import rotate
from ragctx.generator.reader.spans import expected_f1, in_order
from ragctx.records import FinishReason, Generation, Prompt
from ragctx.transformer import Shape, unfilled

if TYPE_CHECKING:
    from ragctx.tokens.tokenizer import Tokenizer

CACHE_BYTES = 512 * 2**20
"""Default bound of the passages in memory: 512 MiB, about 50,000 tokens at 11 kB each."""

STORE_BYTES = 2**30
"""Default bound of the passages on disk: 1 GiB, about 100,000 tokens."""


class BundledReader:
    """Answers from the passages of a prompt, offline. Load it with `load_bundled`.

    `calibration` turns what both passes found into the probability that the passages hold the
    answer, `certainty` that into the probability that the answer is right: `Generation.confidence`.
    `threshold` is the least of these at which it answers rather than abstains; `prior` weighs what
    the search knew of each passage. If the search computed the passages'
    cosines to the question (`Hit.similarity`) and none reaches `min_similarity`, the question is
    about something else and the confidence is 0. Passages are cached as `cache_dtype`: rounded at
    once, so that an answer never depends on whether a passage was in the cache.
    """

    template = "reader"
    caches_prompts = True
    decoding = "greedy"
    only_language = "English"
    """What it was trained on: questions in other languages are not understood."""

    def __init__(
        self,
        network: ReaderNetwork,
        tokenizer: Tokenizer,
        *,
        name: str,
        context_window: int,
        threshold: float,
        calibration: Calibration,
        certainty: Certainty = Certainty(),  # noqa: B008 - frozen
        prior: Prior = Prior(),  # noqa: B008 - frozen
        min_similarity: float = -1.0,
        cache: PassageCache | None = None,
        cache_dtype: torch.dtype = torch.float16,
    ) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.context_window = context_window
        self.threshold = threshold
        self.calibration = calibration
        self.certainty = certainty
        self.prior = prior
        self.min_similarity = min_similarity
        self.cache = PassageCache(CACHE_BYTES) if cache is None else cache
        self.cache_dtype = cache_dtype

    # ---- answering -------------------------------------------------------------------------------

    @torch.inference_mode()
    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        """Answer with a span of one passage, or abstain with `finish_reason` "abstain".

        The answer has at most `prompt.max_new_tokens` tokens. `on_text` gets the whole answer at
        once. Both passes count as prefill: after them the whole answer is known, not only its first
        token.

        Raises TemplateError if the prompt is not laid out as the reader's template does.
        """
        require_kind("prompt", prompt, Prompt, "make one with assemble")
        began = time.perf_counter()
        passages, question = self.parts(prompt)
        if not passages:
            return _abstention(prefill_s=time.perf_counter() - began, confidence=0.0)
        cached, reused = self.cache.fetch(passages, self.encode)
        result = self.read_twice(prompt, cached, self.read_question(question, cached))
        confidence = self.certainty.of(self.signs(prompt, result))
        prefilled = time.perf_counter()
        if not result.spans or confidence < self.threshold:
            return _abstention(
                prefill_s=prefilled - began, confidence=confidence, reused_tokens=reused
            )
        best = result.spans[0]
        choice = choose(prompt, [span for span, _ in locate(prompt, result.spans, self.tokenizer)])
        generation = Generation(
            text=choice.text,
            token_ids=prompt.token_ids[best.first : best.last + 1],
            finish_reason="stop",
            prefill_s=prefilled - began,
            decode_s=time.perf_counter() - prefilled,
            reused_tokens=reused,
            confidence=confidence,
            spans=choice.spans,
            sure_from=self.certainty.sure_from,
            alternatives=choice.alternatives,
        )
        if on_text is not None and generation.text:
            on_text(generation.text)
        return generation

    @torch.inference_mode()
    def guess(self, prompt: Prompt) -> tuple[str, Signs]:
        """The best guess, however unsure, and what tells whether it is right; "" without any."""
        passages, question = self.parts(prompt)
        cached, _ = self.cache.fetch(passages, self.encode)
        if not cached:
            return "", Signs(0.0, 0.0)
        result = self.read_twice(prompt, cached, self.read_question(question, cached))
        located = [span for span, _ in locate(prompt, result.spans, self.tokenizer)]
        return choose(prompt, located).text if located else "", self.signs(prompt, result)

    @torch.inference_mode()
    def write(self, prompt: Prompt) -> Generation:
        """Answer freely, token by token, from passages and vocabulary alike (greedy).

        The answer is not bound to the passages' words, so it has no spans to cite and can claim
        what no passage does: `generate` is the one to trust. Abstains where `generate` does.
        """
        began = time.perf_counter()
        passages, question = self.parts(prompt)
        if not passages:
            return _abstention(prefill_s=time.perf_counter() - began, confidence=0.0)
        cached, reused = self.cache.fetch(passages, self.encode)
        question_states, kv_cache = self.prefill(question, cached)
        steps = self.decoder.steps_after(kv_cache, kv_cache.length, prompt.max_new_tokens)
        result = self.read_twice(prompt, cached, question_states)
        confidence = self.certainty.of(self.signs(prompt, result))
        prefilled = time.perf_counter()
        if confidence < self.threshold:
            return _abstention(
                prefill_s=prefilled - began, confidence=confidence, reused_tokens=reused
            )
        context, content = context_of(prompt, cached)
        context_ids = torch.tensor([token for passage in passages for token in passage])
        token_ids = decode_tokens(
            question_states.answer,
            steps,
            LikeliestToken(self.decoder, context, content, context_ids),
            stop=question[-2],  # [SEP]
            max_new_tokens=prompt.max_new_tokens,
        )
        reason: FinishReason = "length" if len(token_ids) == prompt.max_new_tokens else "stop"
        return Generation(
            text=self.tokenizer.decode(token_ids),
            token_ids=token_ids,
            finish_reason=reason,
            prefill_s=prefilled - began,
            decode_s=time.perf_counter() - prefilled,
            reused_tokens=reused,
            confidence=confidence,
        )

    def identity(self) -> tuple[str, ...]:
        """Name, way of decoding, and the settings on which answers depend."""
        prior = self.prior
        return (
            self.name,
            "greedy",
            repr(self.threshold),
            # not repr(prior): hashes stored since the first release name its field "nearness"
            f"Prior(rank={prior.rank!r}, similarity={prior.similarity!r}, "
            f"nearness={prior.proximity!r})",
            repr(self.calibration),
            repr(self.certainty),
            repr(self.min_similarity),
        )

    def trust(self, certainty: Certainty) -> None:
        """Answer as sure as `certainty` tells, from now on."""
        self.certainty, self.threshold = certainty, certainty.answer_from

    def forget(self) -> None:
        """Drop the passages in memory; those on disk stay."""
        self.cache.clear()

    # ---- the steps of an answer ------------------------------------------------------------------

    def parts(self, prompt: Prompt) -> tuple[list[Tokens], Tokens]:
        """The ids of each passage and of the question, [SEP] and [MASK] included.

        Raises TemplateError if the prompt is not laid out as the reader's template does.
        """
        passages, question = split_prompt(prompt)
        (mask,) = self.tokenizer.encode_markup("[MASK]")
        if not question or question[-1] != mask:
            raise TemplateError(
                "the bundled reader writes its answer at [MASK], but the template does not end "
                "with it; use --template reader"
            )
        return passages, question

    def encode(self, passages: list[Tokens]) -> list[CachedPassage]:
        """Encode each passage alone: bit for bit the same, whatever is encoded with it.

        Batches would add up in another order. The difference is 1e-7, but rounding in the second
        pass can amplify it until another answer is chosen.
        """
        return [self._encoded(torch.tensor([passage])) for passage in passages]

    def _encoded(self, ids: Tensor) -> CachedPassage:
        encoded = self.network.encode(ids)
        rotation = self.network.rotation(torch.arange(ids.shape[1]))

        def rounded(part: Tensor) -> Tensor:
            return part.to(self.cache_dtype, copy=True)

        return CachedPassage(
            keys=rounded(rotate(torch.cat(encoded.keys), *rotation)),
            values=rounded(torch.cat(encoded.values)),
            early=rounded(encoded.early[0]),
            states=rounded(encoded.states[0]),
        )

    def read_question(self, question: Tokens, passages: Sequence[CachedPassage]) -> QuestionStates:
        """The question's states over the passages, of whose positions only the order counts."""
        return read_over(self.network, question, passages)

    def prefill(
        self, question: Tokens, passages: Sequence[CachedPassage], first: int = 0
    ) -> tuple[QuestionStates, KVCache]:
        """What `read_question` returns, and the keys and values of passages and question.

        `first` is the position of the first passage's first token; it makes no difference to the
        states.
        """
        kv_cache = concatenate(self.network, passages, first)
        positions = first + kv_cache.length + torch.arange(len(question))
        states, kv_cache = self.network.read(
            torch.tensor([question]), positions[None], kv_cache, question_mask(len(question))
        )
        return states.row(0), kv_cache

    def read_twice(
        self, prompt: Prompt, passages: Sequence[CachedPassage], question: QuestionStates
    ) -> PassResult:
        """Run both passes over the passages; the spans come in the order of `by_agreement`."""
        result = read_twice(self.second_pass_network, prompt, passages, question, self.prior)
        texts = [text for _, text in locate(prompt, result.spans, self.tokenizer)]
        expected = expected_f1(result.spans, texts, prompt.question)
        agreement = float(expected.max()) if texts else 0.0
        return replace(result, spans=in_order(result.spans, expected), agreement=agreement)

    def confidence(self, prompt: Prompt, result: PassResult) -> float:
        """Probability that the prompt's passages hold the answer."""
        if not result.spans or self._is_off_topic(prompt):
            return 0.0
        return self.calibration.confidence(self.evidence(prompt, result))

    def signs(self, prompt: Prompt, result: PassResult) -> Signs:
        """What tells whether the first span is the right answer."""
        return Signs(held=self.confidence(prompt, result), agreement=result.agreement)

    def evidence(self, prompt: Prompt, result: PassResult) -> Evidence:
        """What the confidence is computed from; the result must have spans."""
        passages, question = split_prompt(prompt)
        number = passage_at(prompt, result.spans[0].first)
        return evidence_of(result, [set(passage) for passage in passages], number, question)

    def _is_off_topic(self, prompt: Prompt) -> bool:
        """Whether the search knows cosines and none of them reaches `min_similarity`."""
        known = [cosine for cosine in similarities_of(prompt) if cosine is not None]
        return bool(known) and max(known) < self.min_similarity

    @cached_property
    def second_pass_network(self) -> ReaderNetwork:
        """The network with its second pass in 8-bit integers, where they are quicker."""
        return in_int8(self.network)

    @cached_property
    def decoder(self) -> Decoder:
        """The network prepared for decoding token by token."""
        with torch.inference_mode():
            return Decoder(self.network)


def _abstention(*, prefill_s: float, confidence: float, reused_tokens: int = 0) -> Generation:
    return Generation(
        text="",
        token_ids=(),
        finish_reason="abstain",
        prefill_s=prefill_s,
        decode_s=0.0,
        reused_tokens=reused_tokens,
        confidence=confidence,
    )


def load_bundled(
    folder: Path = FOLDER,
    *,
    cache_bytes: int = CACHE_BYTES,
    kv_cache: Path | None = None,
    kv_cache_bytes: int = STORE_BYTES,
) -> BundledReader:
    """Load the reader that ships with ragctx.

    What it reads is cached in memory up to `cache_bytes` and, where `kv_cache` names a folder, on
    disk up to `kv_cache_bytes`.

    Raises ModelError if its files are missing or damaged.
    """
    from ragctx.tokens.load import load_tokenizer

    files = reader_files(folder)
    certainty = certainty_of(files.about.get("certainty", {}), float(files.about["threshold"]))
    dtype = torch.float16
    model = f"{files.about['weights_sha256']} {dtype}"
    store = None if kv_cache is None else PassageStore(kv_cache, kv_cache_bytes, model=model)
    return BundledReader(
        build_network(files),
        load_tokenizer(str(files.tokenizer)),
        name=str(files.about["name"]),
        context_window=int(files.about["context_window"]),
        threshold=certainty.answer_from,
        calibration=calibration_of(files.about["calibration"]),
        certainty=certainty,
        prior=Prior(**files.about["prior"]),
        min_similarity=float(files.about["min_similarity"]),
        cache=PassageCache(cache_bytes, store),
        cache_dtype=dtype,
    )


def build_network(files: ReaderFiles) -> ReaderNetwork:
    """The network with the shipped weights, without initialising random ones first.

    Raises ModelError if the weights are those of another version.
    """
    with unfilled():
        network = ReaderNetwork(Shape())
    try:
        network.load_state_dict(load_weights(files), assign=True)
    except RuntimeError as error:  # other names or sizes
        raise ModelError(
            f"{files.weights} holds another version's weights ({str(error).splitlines()[0]}); "
            "reinstall ragctx: pip install --force-reinstall ragctx"
        ) from error
    return network
