"""The bundled reader: passages read one by one, the question over all, the answer copied.

Passages that are not in the cache are encoded, each alone; the question is read over all of them
(`reading`); the likeliest are looked at again, with the question (`looking`). The answer is a span
of one passage, so it is its own citation; "not in these passages" is an outcome with a probability
of its own.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ragctx.errors import ModelError, TemplateError
from ragctx.generator.reader.calibration import Calibration, Evidence, calibration_of, evidence_of
from ragctx.generator.reader.checkpoint import FOLDER, ReaderFiles, load_weights, reader_files
from ragctx.generator.reader.context import (
    _own_text,
    begins_of,
    context_of,
    similarities_of,
    split_prompt,
)
from ragctx.generator.reader.decode import Likeliest, Stepper, write
from ragctx.generator.reader.int8 import packed
from ragctx.generator.reader.kv_cache import Past
from ragctx.generator.reader.network import Asked, ReaderNetwork
from ragctx.generator.reader.passage_cache import SegmentCache
from ragctx.generator.reader.passage_store import SegmentStore
from ragctx.generator.reader.passages import Segment, Tokens
from ragctx.generator.reader.passes import Prior, Reading, look
from ragctx.generator.reader.prefill import lay_out, question_mask, read_over
from ragctx.generator.reader.rope import rotate
from ragctx.generator.reader.spans import Span, by_agreement
from ragctx.records import CopiedSpan, FinishReason, Generation, Prompt
from ragctx.transformer import Shape, unfilled

if TYPE_CHECKING:
    from ragctx.tokens.tokenizer import Tokenizer

CACHE_BYTES = 512 * 2**20
"""Default bound of the segment cache: about 50,000 tokens at 11 kB each."""

STORE_BYTES = 2**30
"""Default bound of the segments on disk: about 100,000 tokens."""


class BundledReader:
    """Answers from the passages of a prompt, offline. See `load_bundled`.

    `threshold` is the least confidence (probability that the answer stands in the passages) at
    which it answers rather than abstains; `calibration` turns what it read into that probability,
    `prior` says what is known of a passage before. Where the search knew how near each passage is
    to the question (`Hit.similarity`) and none reaches `min_similarity`, the question is about
    something else, and the confidence is 0. What was read is kept as `kept_as`: rounded at once, so
    that an answer never depends on whether the cache had a passage.
    """

    template = "reader"

    def __init__(
        self,
        network: ReaderNetwork,
        tokenizer: Tokenizer,
        *,
        name: str,
        context_window: int,
        threshold: float,
        calibration: Calibration,
        prior: Prior = Prior(),  # noqa: B008 - frozen
        min_similarity: float = -1.0,
        cache: SegmentCache | None = None,
        kept_as: torch.dtype = torch.float16,
    ) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.context_window = context_window
        self.threshold = threshold
        self.calibration = calibration
        self.prior = prior
        self.min_similarity = min_similarity
        self.cache = SegmentCache(CACHE_BYTES) if cache is None else cache
        self.kept_as = kept_as

    @torch.inference_mode()
    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        """Answer with a span of one passage, or abstain with `finish_reason` "abstain".

        The answer has at most `prompt.max_new_tokens` tokens. `on_text` gets the answer's text.
        """
        began = time.perf_counter()
        passages, question = self.parts(prompt)
        if not passages:
            return Generation(
                text="",
                token_ids=(),
                finish_reason="abstain",
                prefill_s=time.perf_counter() - began,
                decode_s=0.0,
                reused_tokens=0,
                confidence=0.0,
            )
        segments, reused = self.cache.fetch(passages, self.encode)
        asked = self.read_question(question, segments)
        prefilled = time.perf_counter()
        generation = self.answer(prompt, segments, asked, reused, prefilled - began)
        if on_text is not None and generation.text:
            on_text(generation.text)
        return generation

    @torch.inference_mode()
    def write(self, prompt: Prompt) -> Generation:
        """Answer freely, token by token, from passages and vocabulary alike (greedy).

        Not bound to the passages' words, so it has no spans to cite and may say what no passage
        says: `generate` is the one to trust. Abstains where `generate` does.
        """
        began = time.perf_counter()
        passages, question = self.parts(prompt)
        if not passages:
            return Generation(
                text="",
                token_ids=(),
                finish_reason="abstain",
                prefill_s=time.perf_counter() - began,
                decode_s=0.0,
                reused_tokens=0,
                confidence=0.0,
            )
        segments, reused = self.cache.fetch(passages, self.encode)
        asked, past = self.prefill(question, segments)
        steps = self.stepper.over(past, past.length, prompt.max_new_tokens)
        confidence = self.confidence(prompt, self.look(prompt, segments, asked))
        prefilled = time.perf_counter()
        if confidence < self.threshold:
            return Generation(
                text="",
                token_ids=(),
                finish_reason="abstain",
                prefill_s=prefilled - began,
                decode_s=0.0,
                reused_tokens=reused,
                confidence=confidence,
            )
        context, content = context_of(prompt, segments)
        ids = torch.tensor([token for chunk in passages for token in chunk])
        likeliest = Likeliest(self.stepper, context, content, ids)
        written = write(
            asked.answer, steps, likeliest, stop=question[-2], max_new_tokens=prompt.max_new_tokens
        )
        finish: FinishReason = "length" if len(written) == prompt.max_new_tokens else "stop"
        return Generation(
            text=self.tokenizer.decode(written),
            token_ids=written,
            finish_reason=finish,
            prefill_s=prefilled - began,
            decode_s=time.perf_counter() - prefilled,
            reused_tokens=reused,
            confidence=confidence,
        )

    @cached_property
    def packed(self) -> ReaderNetwork:
        """The network as it looks again: see `packed`."""
        return packed(self.network)

    @cached_property
    def stepper(self) -> Stepper:
        """The network as it writes."""
        with torch.inference_mode():
            return Stepper(self.network)

    def encode(self, chunks: list[Tokens]) -> list[Segment]:
        """Read each chunk alone: what it leaves is the same bit for bit, whatever is read with it.

        Batches would add in another order. The difference is 1e-7, but rounding at the second look
        can raise it until another answer is chosen.
        """
        return [self._encoded(torch.tensor([chunk])) for chunk in chunks]

    def _encoded(self, ids: Tensor) -> Segment:
        encoded = self.network.encode(ids)
        turn = self.network.rotation(torch.arange(ids.shape[1]))

        def kept(part: Tensor) -> Tensor:
            return part.to(self.kept_as, copy=True)

        return Segment(
            keys=kept(rotate(torch.cat(encoded.keys), *turn)),
            values=kept(torch.cat(encoded.values)),
            early=kept(encoded.early[0]),
            states=kept(encoded.states[0]),
        )

    def read_question(self, question: Tokens, segments: Sequence[Segment]) -> Asked:
        """The states (T, width) of the question's tokens over all segments, side by side.

        `question` ends with [MASK]. Only the order of the segments counts, see `reading`.
        """
        return read_over(self.network, question, segments)

    def prefill(
        self, question: Tokens, segments: Sequence[Segment], first: int = 0
    ) -> tuple[Asked, Past]:
        """What `read_question` gives, and all that was read.

        `first` is the position of the first passage's first token: shifting everything changes
        nothing.
        """
        past = lay_out(self.network, segments, first)
        positions = first + past.length + torch.arange(len(question))
        asked, past = self.network.read(
            torch.tensor([question]), positions[None], past, question_mask(len(question))
        )
        return asked.row(0), past

    def look(self, prompt: Prompt, segments: Sequence[Segment], asked: Asked) -> Reading:
        """Both looks at the passages, `asked` being the question as it was read.

        The spans come in the order of agreement, the answer first.
        """
        reading = look(self.packed, prompt, segments, asked, self.prior)
        texts = [text for _, text in self.locate(prompt, reading.spans)]
        return replace(reading, spans=by_agreement(reading.spans, texts, prompt.question))

    def confidence(self, prompt: Prompt, reading: Reading) -> float:
        """Probability that the answer stands in the prompt's passages."""
        if not reading.spans or self._is_elsewhere(prompt):
            return 0.0
        return self.calibration.confidence(self.evidence(prompt, reading))

    def evidence(self, prompt: Prompt, reading: Reading) -> Evidence:
        """What the confidence is computed from; the reading has spans."""
        passages, question = split_prompt(prompt)
        number = bisect_right(begins_of(prompt), reading.spans[0].first) - 1
        held = [set(passage) for passage in passages]
        return evidence_of(reading, held, number, question)

    def _is_elsewhere(self, prompt: Prompt) -> bool:
        known = [cosine for cosine in similarities_of(prompt) if not math.isnan(cosine)]
        return bool(known) and max(known) < self.min_similarity

    def parts(self, prompt: Prompt) -> tuple[list[Tokens], Tokens]:
        """`split_prompt`, refusing what is not laid out as this reader was trained."""
        passages, question = split_prompt(prompt)
        (mask,) = self.tokenizer.encode_markup("[MASK]")
        if not question or question[-1] != mask:
            raise TemplateError(
                "the bundled reader writes its answer at [MASK], but the template does not end "
                "with it; use --template reader"
            )
        return passages, question

    def answer(
        self,
        prompt: Prompt,
        segments: Sequence[Segment],
        asked: Asked,
        reused: int,
        prefill_s: float,
    ) -> Generation:
        """The generation for a question that was read, which took `prefill_s` so far.

        Both looks count as prefill: after them the whole answer is known, not its first token only.
        """
        since = time.perf_counter()
        reading = self.look(prompt, segments, asked)
        confidence = self.confidence(prompt, reading)
        looked = time.perf_counter()
        prefill_s += looked - since
        if not reading.spans or confidence < self.threshold:
            return Generation(
                text="",
                token_ids=(),
                finish_reason="abstain",
                prefill_s=prefill_s,
                decode_s=0.0,
                reused_tokens=reused,
                confidence=confidence,
            )
        best = reading.spans[0]
        [(span, text)] = self.locate(prompt, [best])
        ids = prompt.token_ids[best.first : best.last + 1]
        decode_s = time.perf_counter() - looked
        return Generation(
            text=text,
            token_ids=ids,
            finish_reason="stop",
            prefill_s=prefill_s,
            decode_s=decode_s,
            reused_tokens=reused,
            confidence=confidence,
            spans=(span,),
        )

    def locate(self, prompt: Prompt, spans: Sequence[Span]) -> list[tuple[CopiedSpan, str]]:
        """What spans of the context stand for: characters of a passage's own text, and these."""
        passages, begins, located = prompt.passages, begins_of(prompt), []

        @cache
        def offsets(number: int) -> Sequence[tuple[int, int]]:
            return self.tokenizer.encode_with_offsets(_own_text(passages[number])).offsets

        for span in spans:
            number = bisect_right(begins, span.first) - 1
            shift = begins[number] + passages[number].token_start
            start = offsets(number)[span.first - shift][0]
            end = offsets(number)[span.last - shift][1]
            text = _own_text(passages[number])[start:end]
            located.append((CopiedSpan(number, start, end), text))
        return located


def load_bundled(
    folder: Path = FOLDER,
    *,
    cache_bytes: int = CACHE_BYTES,
    kv_cache: Path | None = None,
    kv_cache_bytes: int = STORE_BYTES,
) -> BundledReader:
    """The reader that ships with ragctx; ModelError when its files are missing or damaged.

    What it reads is kept in memory up to `cache_bytes` and, where `kv_cache` names a folder, on
    disk up to `kv_cache_bytes`.
    """
    from ragctx.tokens.load import load_tokenizer

    files = reader_files(folder)
    kept = f"{files.about['weights_sha256']} {torch.float16}"
    store = None if kv_cache is None else SegmentStore(kv_cache, kv_cache_bytes, model=kept)
    return BundledReader(
        build_network(files),
        load_tokenizer(str(files.tokenizer)),
        name=str(files.about["name"]),
        context_window=int(files.about["context_window"]),
        threshold=float(files.about["threshold"]),
        calibration=calibration_of(files.about["calibration"]),
        prior=Prior(**files.about["prior"]),
        min_similarity=float(files.about["min_similarity"]),
        cache=SegmentCache(cache_bytes, store),
        kept_as=torch.float16,
    )


def build_network(files: ReaderFiles) -> ReaderNetwork:
    """The network with the shipped weights, without ever initialising random ones."""
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
