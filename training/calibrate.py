"""Fit a reader's calibration, and the threshold below which it abstains.

Everything is fitted on the even rows of `SETS`' dev parts and reported on the odd ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragctx.embedding import Embedder
from ragctx.generator.reader.calibration import Calibration
from ragctx.generator.reader.passes import Prior
from ragctx.generator.reader.reader import BundledReader
from training.evaluate import Pool, Read, Scored, answer, questions_of, read, rows_of

SETS = (
    "squadshifts_newwiki",
    "squadshifts_reddit",
    "squadshifts_amazon",
    "openstax_term",
    "covidqa_para",
)
"""Dev sets. PolicyQA is not among them: its questions fit many passages, so that taking one away
does not make them unanswerable."""

DISTRACTORS = (0, 4, 9)
"""How many other passages are read beside a question's own."""

PRECISION = 0.85
"""Precision of abstaining that the threshold aims at. Chosen by hand."""

PRIOR = Prior(rank=1.0, similarity=8.0, proximity=14.0, row=4.0, column=2.0)
"""Chosen on questions about documents, as the search brings their passages; the question sets have
too little of tables and of what is like the right passage. See LOG.md."""


@dataclass(frozen=True)
class Part:
    """Questions that were read with their passage among distractors, and others without it."""

    there: list[Read]
    absent: list[Read]


def parts_of(
    reader: BundledReader, folder: Path, embedder: Embedder, per_set: int
) -> tuple[Part, Part]:
    """The even rows of each set and the odd ones."""
    parts = Part([], []), Part([], [])
    for name in SETS:
        path = folder / f"{name}.dev.jsonl.gz"
        pool, rows = Pool(rows_of(path, None), embedder), rows_of(path, 2 * per_set)
        for odd, part in enumerate(parts):
            add_read(part, reader, rows[odd::2], pool, seed=odd)
    return parts


def add_read(
    part: Part, reader: BundledReader, rows: Sequence[dict[str, Any]], pool: Pool, seed: int
) -> None:
    """Read a set's questions beside distractors by turns, with their passage and without it.

    A question whose passage is gone gets one distractor more in its place, and is left out where
    every other passage holds the answer too.
    """
    for i, count in enumerate(DISTRACTORS):
        for with_gold, kept in ((True, part.there), (False, part.absent)):
            asked = questions_of(
                rows[i :: len(DISTRACTORS)],
                pool.embedder,
                distractors=count,
                with_gold=with_gold,
                seed=seed,
                pool=pool,
            )
            kept += [read(reader, each) for each in asked if each.passages]


def beside_others(*parts: Sequence[Scored]) -> list[list[Scored]]:
    """Those with several passages, which are fitted to and reported; a single one is easier."""
    return [[each for each in part if not each.evidence.alone] for part in parts]


def scores(reader: BundledReader, questions: Sequence[Read]) -> list[Scored]:
    """What the reader answers with its present settings."""
    return [answer(reader, each) for each in questions]


def fit_calibration(there: Sequence[Scored], absent: Sequence[Scored]) -> Calibration:
    """A logistic regression from the evidence."""
    labels = np.array([1.0] * len(there) + [0.0] * len(absent))
    evidence = np.array([(1.0, *r.evidence) for r in (*there, *absent)])
    return Calibration(tuple(logistic(evidence, labels).tolist()))


def logistic(
    evidence: NDArray[np.float64], labels: NDArray[np.float64], ridge: float = 1e-2
) -> NDArray[np.float64]:
    """Weights of a logistic regression by Newton's method, slightly shrunk.

    >>> x = np.array([[1.0, -2.0], [1.0, -1.0], [1.0, 1.0], [1.0, 2.0]])
    >>> bool(logistic(x, np.array([0.0, 0.0, 1.0, 1.0]))[1] > 1)
    True
    """
    weights = np.zeros(evidence.shape[1])
    for _ in range(50):
        likely = 1 / (1 + np.exp(-evidence @ weights))
        gradient = evidence.T @ (likely - labels) + ridge * weights
        curvature = (evidence * (likely * (1 - likely))[:, None]).T @ evidence
        weights -= np.linalg.solve(curvature + ridge * np.eye(len(weights)), gradient)
    return weights


def best_threshold(there: Iterable[float], absent: Iterable[float]) -> float:
    """The highest confidence below which refusing is right with `PRECISION`.

    Both kinds of question count as equally common. 0 where no threshold reaches it.

    >>> best_threshold([0.9, 0.8, 0.7, 0.3], [0.1, 0.2, 0.6, 0.5])
    0.3
    """
    pairs = sorted([(c, 0) for c in there] + [(c, 1) for c in absent])
    best, right = 0.0, 0
    for i, (_, rightly) in enumerate(pairs):
        right += rightly
        if right / (i + 1) >= PRECISION and i + 1 < len(pairs):
            best = pairs[i + 1][0]
    return best


def sturdy_threshold(
    there: Sequence[float], absent: Sequence[float], seed: int = 1, resamples: int = 200
) -> float:
    """The threshold that keeps `PRECISION` in three of four samples of such questions.

    `best_threshold` takes the last place where the precision happens to be reached, which other
    questions do not repeat: this is the lower quartile of what it takes on bootstrap samples.

    >>> sturdy_threshold([0.9] * 9 + [0.3], [0.1] * 9 + [0.5])
    0.3
    """
    rng = np.random.default_rng(seed)
    drawn = [
        best_threshold(*(rng.choice(part, len(part)).tolist() for part in (there, absent)))
        for _ in range(resamples)
    ]
    return float(np.quantile(drawn, 0.25))


def refusal_scores(
    answerable: Sequence[float], unanswerable: Sequence[float], threshold: float
) -> dict[str, float]:
    """How well low confidence tells that the answer is not there; `n` counts both kinds.

    >>> found = refusal_scores([0.9, 0.8, 0.2], [0.1, 0.3, 0.85], 0.5)
    >>> found["precision"], found["recall"], found["auroc"]
    (0.667, 0.667, 0.667)
    """
    refused = sum(c < threshold for c in unanswerable)
    wrongly = sum(c < threshold for c in answerable)
    pairs = [(a > u) + 0.5 * (a == u) for a in answerable for u in unanswerable]
    return {
        "precision": round(refused / max(1, refused + wrongly), 3),
        "recall": round(refused / max(1, len(unanswerable)), 3),
        "auroc": round(sum(pairs) / max(1, len(pairs)), 3),
        "calibration_error": round(calibration_error(answerable, unanswerable), 3),
        "n": len(answerable) + len(unanswerable),
    }


def calibration_error(there: Sequence[float], absent: Sequence[float], bins: int = 10) -> float:
    """Expected calibration error over equally filled bins (Naeini et al., AAAI 2015)."""
    pairs = sorted([(c, 1.0) for c in there] + [(c, 0.0) for c in absent])
    parts = [part for part in np.array_split(np.array(pairs), bins) if len(part)]
    gaps = [abs(part[:, 0].mean() - part[:, 1].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(pairs))


def fit(reader: BundledReader, folder: Path, embedder: Embedder, per_set: int) -> dict[str, Any]:
    """Calibration and threshold from the even rows, and what they give on the odd ones."""
    even, odd = parts_of(reader, folder, embedder, per_set)
    reader.prior = PRIOR
    there, absent = scores(reader, even.there), scores(reader, even.absent)
    reader.calibration = calibration = fit_calibration(there, absent)
    present, gone = (sure(calibration, p) for p in beside_others(there, absent))
    threshold = sturdy_threshold(present, gone)
    held = beside_others(scores(reader, odd.there), scores(reader, odd.absent))
    present, gone = (sure(calibration, p) for p in held)
    return {
        "threshold": round(threshold, 4),
        "prior": asdict(PRIOR),
        "calibration": {
            "weights": [round(w, 4) for w in calibration.weights],
        },
        "refusal_held_out": refusal_scores(present, gone, threshold),
    }


def sure(calibration: Calibration, part: Sequence[Scored]) -> list[float]:
    """The confidence of each, by its evidence alone."""
    return [calibration.confidence(each.evidence) for each in part]
