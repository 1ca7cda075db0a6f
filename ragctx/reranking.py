"""Candidates scored once more, each together with the question.

A search compares the question with vectors and words that were made without it. A reranker reads
both at once: it is slower, so it is given a few dozen candidates, and sees more.

Nogueira and Cho, "Passage Re-ranking with BERT", 2019.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragctx.cards import clipped
from ragctx.errors import InputError, ModelError, require_extra
from ragctx.headers import indexed_text
from ragctx.model_loading import quiet_loading
from ragctx.paths import expanded
from ragctx.records import Hit

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

Reranker = Callable[[str, Sequence[Hit]], Sequence[float]]
"""(question, candidates) -> a finite score for each of them; higher is better."""

BUNDLED = "bundled"
"""The name of the reranker that ships with ragctx."""
CANDIDATES = 30
"""How many candidates are scored once more, unless more hits are asked for."""


def reranked(question: str, hits: Sequence[Hit], reranker: Reranker) -> list[Hit]:
    """The hits in the order of the reranker's scores, which become theirs.

    Of equal ones the better ranked comes first; `Hit.retrieved_rank` keeps where each one was.

    Raises:
        InputError: the reranker does not give one finite number for each hit.

    >>> hits = [Hit.from_text(1, 0.9, "A pump."), Hit.from_text(2, 0.8, "The filter of the pump.")]
    >>> best = reranked("filter", hits, lambda question, hits: [0.1, 0.7])[0]
    >>> best.rank, best.score, best.retrieved_rank
    (1, 0.7, 2)
    """
    scores = list(reranker(question, hits)) if hits else []
    if len(scores) != len(hits):
        raise InputError(f"the reranker gave {len(scores)} scores for {len(hits)} candidates")
    for hit, score in zip(hits, scores, strict=True):
        if not math.isfinite(score):
            raise InputError(
                f"the reranker gave {score!r} for candidate {hit.rank} "
                f"({clipped(hit.chunk.text)}); it has to give a finite number for each"
            )
    best = sorted(range(len(hits)), key=lambda i: (-float(scores[i]), hits[i].rank))
    return [
        replace(hits[i], rank=rank, score=float(scores[i]), retrieved_rank=hits[i].rank)
        for rank, i in enumerate(best, 1)
    ]


@dataclass(frozen=True)
class CrossEncoderReranker:
    """A cross-encoder of sentence-transformers: its scores go from 0 to 1.

    What is read of a candidate is its text, with its title and headings before it as they are for
    the search; what is too long for the model is cut off at its end.
    """

    name: str
    model: CrossEncoder

    def __call__(self, question: str, hits: Sequence[Hit]) -> list[float]:
        """How well each candidate answers the question."""
        pairs = [(question, indexed_text(hit.chunk)) for hit in hits]
        scores = self.model.predict(pairs, show_progress_bar=False, convert_to_numpy=True)
        found: list[float] = np.asarray(scores, dtype=np.float64).tolist()
        return found


def load_reranker(spec: str | Path) -> Reranker:
    """A reranker: "bundled", the directory of a cross-encoder, or its name.

    The bundled one is the bundled reader (`ragctx.bundled_reranker`). A name is that of a model in
    the Hugging Face cache. Nothing is downloaded, and no code of a model's is run.

    Raises:
        ModelError: there is none, or it has not one score for a pair of texts.
        MissingExtraError: a cross-encoder is named, and sentence-transformers is not installed.

    >>> texts = "Tin melts at 232 degrees.", "Lead is heavy."
    >>> hits = [Hit.from_text(rank, None, text) for rank, text in enumerate(texts, 1)]
    >>> of_tin, of_lead = load_reranker("bundled")("When does tin melt?", hits)
    >>> of_tin > 0.5 > of_lead
    True
    """
    if spec == BUNDLED:
        from ragctx.bundled_reranker import load_bundled_reranker

        return load_bundled_reranker()
    return _load_cross_encoder(spec)


def _load_cross_encoder(spec: str | Path) -> CrossEncoderReranker:
    path = expanded(str(spec))
    with require_extra(f"The reranker {str(spec)!r}", "sentence-transformers"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sentence_transformers import CrossEncoder
    from torch.nn import Sigmoid

    try:
        with quiet_loading():
            model = CrossEncoder(
                str(path) if path.is_dir() else str(spec),
                activation_fn=Sigmoid(),
                local_files_only=True,
                trust_remote_code=False,
            )
    except Exception as error:  # a model directory can be wrong in any way
        reason = str(error).split("\n", 1)[0]
        raise ModelError(
            f"There is no reranker {str(spec)!r} here ({type(error).__name__}: {reason[:200]}). "
            "Give a directory that holds a cross-encoder of sentence-transformers, or the name of "
            f"one already cached; with a network, fetch it first: hf download {spec}"
        ) from error
    _require_ranks(str(spec), model)
    return CrossEncoderReranker(path.resolve().name if path.is_dir() else str(spec), model)


def _require_ranks(spec: str, model: CrossEncoder) -> None:
    """Raise ModelError for what gives no score, or one of weights that nobody trained."""
    made_as = getattr(model.config, "architectures", None) or ["nothing"]
    if not any("Classification" in one or "CausalLM" in one for one in made_as):
        raise ModelError(
            f"{spec} was trained as {', '.join(made_as)}: it has no weights that score a question "
            "and a passage, and made-up ones would rank at random. Give a cross-encoder, such as "
            "one trained on MS MARCO."
        )
    if model.num_labels != 1:
        raise ModelError(
            f"{spec} gives {model.num_labels} numbers for a question and a passage, not one score: "
            "it is a classifier and no reranker. Give a cross-encoder trained to rank."
        )
