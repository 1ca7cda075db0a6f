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
from pathlib import Path
from typing import TYPE_CHECKING

from ragctx.arguments import require_kind
from ragctx.errors import TemplateError
from ragctx.generator.cache_stats import CacheStats, StoreStats
from ragctx.generator.kept_files import STORE_BYTES
from ragctx.generator.reader.calibration import Calibration, Evidence, calibration_of, evidence_of
from ragctx.generator.reader.certainty import NAMED, NAMED_AMONG, Certainty, Signs, certainty_of
from ragctx.generator.reader.checkpoint import FOLDER, load_network, reader_files
from ragctx.generator.reader.choice import choose
from ragctx.generator.reader.context import (
    context_of,
    layout_of,
    locate,
    passage_at,
    similarities_of,
    split_prompt,
    tokens_at,
)
from ragctx.generator.reader.decode import LikeliestToken, decode_tokens
from ragctx.generator.reader.kv_cache import concatenate
from ragctx.generator.reader.named_cell import named_cell
from ragctx.generator.reader.network import QuestionStates, ReaderNetwork, question_mask
from ragctx.generator.reader.passage_cache import PassageCache
from ragctx.generator.reader.passage_store import PassageStore
from ragctx.generator.reader.passages import CachedPassage, Tokens
from ragctx.generator.reader.passes import PassResult, Prior, passage_log_odds, read_twice
from ragctx.generator.reader.spans import expected_f1, in_order
from ragctx.generator.reader.yes_or_no import asks_yes_or_no, bearing_sentence
from ragctx.records import CopiedSpan, FinishReason, Generation, Prompt
from ragctx.runtime import graph_sha256

if TYPE_CHECKING:
    from ragctx.tokens.tokenizer import Tokenizer

CACHE_BYTES = 512 * 2**20
"""Default bound of the passages in memory: 512 MiB, about 50,000 tokens at 11 kB each."""

NAMED_WELL = 0.5
"""Term proximity from which a question is about the passages, however low their cosines: a short
answer in a passage about other things has low ones. The highest of 18 questions about something
else was 0.492 (training/LOG.md)."""


class BundledReader:
    """Answers from the passages of a prompt, offline. Load it with `load_bundled`.

    `calibration` turns what both passes found into the probability that the passages hold the
    answer, `certainty` that into the probability that the answer is right: `Generation.confidence`.
    `threshold` is the least of these at which it answers rather than abstains; `prior` weighs what
    the search knew of each passage. If the search computed the passages' cosines to the question
    (`Hit.similarity`), none reaches `min_similarity` and no place has its words (`NAMED_WELL`), the
    question is about something else and the confidence is 0. Passages are rounded to the precision
    of the cache at once, so that an answer never depends on whether a passage was in it.
    """

    template = "reader"
    caches_prompts = True
    decoding = "greedy"
    copies_one_span = True
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
    ) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.name = name
        self.context_window = context_window
        self.threshold = threshold
        self.calibration = calibration
        self.certainty = certainty
        self.prior = prior
        self.min_similarity = min_similarity
        self.cache = PassageCache(CACHE_BYTES) if cache is None else cache

    def cache_stats(self) -> tuple[CacheStats, StoreStats | None]:
        """What was read before, in memory and, where a folder was named, on disk."""
        store = self.cache.store
        return self.cache.stats, None if store is None else store.stats

    # ---- answering -------------------------------------------------------------------------------

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
        taken, signs = self._taken(prompt, result)
        confidence = self.certainty.of(signs)
        prefilled = time.perf_counter()
        if not result.spans or confidence < self.threshold:
            return _abstention(
                prefill_s=prefilled - began, confidence=confidence, reused_tokens=reused
            )
        choice = choose(prompt, self._places(prompt, result, taken))
        generation = Generation(
            text=choice.text,
            token_ids=self._copied(prompt, result, taken),
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

    def guess(self, prompt: Prompt) -> tuple[str, Signs]:
        """The best guess, however unsure, and what tells whether it is right; "" without any."""
        passages, question = self.parts(prompt)
        cached, _ = self.cache.fetch(passages, self.encode)
        if not cached:
            return "", Signs(0.0, 0.0)
        result = self.read_twice(prompt, cached, self.read_question(question, cached))
        taken, signs = self._taken(prompt, result)
        located = self._places(prompt, result, taken)
        return choose(prompt, located).text if located else "", signs

    def _taken(self, prompt: Prompt, result: PassResult) -> tuple[CopiedSpan | None, Signs]:
        """What is answered instead of the first span, None if that is, and how sure it may be."""
        signs = self.signs(prompt, result)
        cell = named_cell(prompt)
        if cell is not None:
            is_alone = len(prompt.passages) == 1
            return cell, signs._replace(named=NAMED if is_alone else NAMED_AMONG)
        if not result.spans or not asks_yes_or_no(prompt.question):
            return None, signs
        located = [span for span, _ in locate(prompt, result.spans, self.tokenizer)]
        embedded = self.network.embedded
        sentence = bearing_sentence(embedded, prompt, located, result.spans, self.tokenizer)
        return sentence, signs._replace(undecided=sentence is not None)

    def _places(
        self, prompt: Prompt, result: PassResult, taken: CopiedSpan | None
    ) -> list[CopiedSpan]:
        """Where the answer may stand, the best place first: what is taken, then the spans."""
        located = [span for span, _ in locate(prompt, result.spans, self.tokenizer)]
        return located if taken is None else [taken, *located]

    def _copied(
        self, prompt: Prompt, result: PassResult, taken: CopiedSpan | None
    ) -> tuple[int, ...]:
        """The tokens of the best place."""
        if taken is not None:
            return tokens_at(prompt, taken, self.tokenizer)
        best = result.spans[0]
        return prompt.token_ids[best.first : best.last + 1]

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
        visible = question_mask(len(question))
        read = self.network.read(question, concatenate(cached), visible=visible)
        result = self.read_twice(prompt, cached, read.states)
        confidence = self.certainty.of(self.signs(prompt, result))
        prefilled = time.perf_counter()
        if confidence < self.threshold:
            return _abstention(
                prefill_s=prefilled - began, confidence=confidence, reused_tokens=reused
            )
        context, content = context_of(prompt, cached, self.tokenizer)
        context_ids = [token for passage in passages for token in passage]
        token_ids = decode_tokens(
            self.network,
            read,
            LikeliestToken(self.network, context, content, context_ids),
            offset=len(question),
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
            f"nearness={prior.proximity!r}, row={prior.row!r}, column={prior.column!r})",
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
        """Encode each passage alone: bit for bit the same, whatever is encoded with it."""
        return self.network.encode(passages)

    def read_question(self, question: Tokens, passages: Sequence[CachedPassage]) -> QuestionStates:
        """The question's states over the passages, of whose positions only the order counts."""
        return self.network.read_question(question, concatenate(passages))

    def read_twice(
        self, prompt: Prompt, passages: Sequence[CachedPassage], question: QuestionStates
    ) -> PassResult:
        """Run both passes over the passages; the spans come in the order of `by_agreement`."""
        layout = layout_of(prompt, self.tokenizer)
        result = read_twice(
            self.network, prompt, passages, question, prior=self.prior, layout=layout
        )
        texts = [text for _, text in locate(prompt, result.spans, self.tokenizer)]
        expected = expected_f1(result.spans, texts, prompt.question)
        agreement = float(expected.max()) if texts else 0.0
        return replace(result, spans=in_order(result.spans, expected), agreement=agreement)

    def log_odds(self, prompt: Prompt) -> float:
        """Log-odds, up to a constant, that the only passage of a prompt holds the answer."""
        [passage], question = self.parts(prompt)
        [cached], _ = self.cache.fetch([passage], self.encode)
        states = self.read_question(question, [cached])
        layout = layout_of(prompt, self.tokenizer)
        return passage_log_odds(
            self.network, prompt, cached, states, prior=self.prior, layout=layout
        )

    def confidence(self, prompt: Prompt, result: PassResult) -> float:
        """Probability that the prompt's passages hold the answer."""
        if not result.spans or self._is_off_topic(prompt, result):
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

    def _is_off_topic(self, prompt: Prompt, result: PassResult) -> bool:
        """Whether no cosine that is known reaches `min_similarity`, nor a place `NAMED_WELL`."""
        known = [cosine for cosine in similarities_of(prompt) if cosine is not None]
        far = bool(known) and max(known) < self.min_similarity
        return far and result.best_proximity < NAMED_WELL


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
    model = f"{files.about['weights_sha256']} {graph_sha256('reader_first')}"
    store = None if kv_cache is None else PassageStore(kv_cache, kv_cache_bytes, model=model)
    return BundledReader(
        load_network(files),
        load_tokenizer(str(files.tokenizer)),
        name=str(files.about["name"]),
        context_window=int(files.about["context_window"]),
        threshold=certainty.answer_from,
        calibration=calibration_of(files.about["calibration"]),
        certainty=certainty,
        prior=Prior(**files.about["prior"]),
        min_similarity=float(files.about["min_similarity"]),
        cache=PassageCache(cache_bytes, store),
    )
