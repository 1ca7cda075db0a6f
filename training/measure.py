"""Every number of the model card, measured on the shipped reader: JSON, and tables in Markdown.

    python -m training.measure sets        # each held-out set, the gold passage alone
    python -m training.measure positions   # beside 4, 9 and 19 others, at each of 5 slots
    python -m training.measure refusal     # on rows that the export neither fitted nor reported

Each part is written to measured-PART.json among the logs and printed as the card shows it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ragctx.embedding import Embedder, load_embedder
from ragctx.evaluation.statistics.intervals import bootstrap_mean
from ragctx.generator.reader.reader import BundledReader, load_bundled
from training import calibrate
from training.calibrate import Part, add_read, beside_others, refusal_scores, scores, sure
from training.common import Config, configured, prepare, stage_parser
from training.evaluate import Pool, questions_of, rows_of, score, spread, summary

SETS = (
    "squadshifts_newwiki", "squadshifts_reddit", "squadshifts_amazon", "openstax_term",
    "sleepqa", "molweni_ubuntu", "qamr", "covidqa_para", "tatqa_span", "policyqa",
    "fairytaleqa", "openstax_review", "openstax_define", "tweetqa", "friendsqa",
    "emanual_smarttv",
)  # fmt: skip
POSITIONS_ON = "squadshifts_newwiki"
DISTRACTORS = (4, 9, 19)
SLOTS = 5


def by_set(reader: BundledReader, embedder: Embedder, config: Config) -> dict[str, Any]:
    """Each held-out set, gold passage alone; all rows of sets in the configuration's `whole`."""
    sets: dict[str, Any] = {}
    for name in SETS:
        limit = None if name in config.measure["whole"] else config.measure["sets"]
        rows = rows_of(config.questions / f"{name}.dev.jsonl.gz", limit)
        results = score(reader, questions_of(rows, embedder))
        sets[name] = {**summary(results), "by_position": None}
        sets[name]["words"] = round(float(np.mean([len(r.text.split()) for r in results])), 1)
        sys.stderr.write(f"{name} {sets[name]['f1']}\n")
    return sets


def by_position(reader: BundledReader, embedder: Embedder, config: Config) -> dict[str, Any]:
    """F1 with the gold passage in each of `SLOTS` slots among distractors; the same questions."""
    path = config.questions / f"{POSITIONS_ON}.dev.jsonl.gz"
    everything = rows_of(path, None)
    fitted = [row["id"] for row in rows_of(path, known_rows(config))[0::2]]
    unfitted = [row for row in everything if row["id"] not in fitted]
    rows = spread(unfitted, config.measure["positions"])
    pool = Pool(everything, embedder)
    alone = [r.f1 for r in score(reader, questions_of(rows, embedder, pool=pool))]
    measured: dict[str, Any] = {"n": len(rows), "alone": _points(alone)}
    for distractors in DISTRACTORS:
        slots = [round(i * distractors / (SLOTS - 1)) for i in range(SLOTS)]
        curves = []
        for slot in slots:
            asked = questions_of(rows, embedder, distractors=distractors, gold_at=slot, pool=pool)
            curves.append([r.f1 for r in score(reader, asked)])
            sys.stderr.write(f"{distractors} {slot} {100 * np.mean(curves[-1]):.1f}\n")
        means = np.array(curves).mean(1)
        measured[str(distractors)] = {
            "slots": slots,
            "f1": [_points(curve) for curve in curves],
            "mean": _points(np.array(curves).mean(0)),
            "spread": round(100 * float(np.ptp(means)), 2),
            "spread_if_none": round(100 * _null_spread(np.array(curves)), 2),
            "loss": round(100 * float(np.mean(alone) - means.mean()), 2),
        }
    return measured


def by_refusal(reader: BundledReader, embedder: Embedder, config: Config) -> dict[str, Any]:
    """How well low confidence tells that the passage is missing, on rows nothing was fitted to."""
    part, used = Part([], []), {}
    for name in calibrate.SETS:
        path = config.questions / f"{name}.dev.jsonl.gz"
        fresh = unseen_rows(path, known_rows(config), config.measure["refusal"])
        pool = Pool(rows_of(path, None), embedder)
        add_read(part, reader, fresh, pool, seed=2)
        used[name] = len(fresh)
        sys.stderr.write(f"{name} {len(fresh)}\n")
    there, absent = (scores(reader, each) for each in (part.there, part.absent))
    present, gone = (sure(reader.calibration, p) for p in beside_others(there, absent))
    return {"rows": used, **refusal_scores(present, gone, reader.threshold)}


def known_rows(config: Config) -> int:
    """Rows of a set that the reader was fitted and tested on when it was exported."""
    return int(2 * config.export["per_set"])


def unseen_rows(path: Path, known_rows: int, limit: int) -> list[dict[str, Any]]:
    """`limit` rows that neither fitted the shipped reader nor were reported with the fit."""
    known = rows_of(path, known_rows)
    return spread([row for row in rows_of(path, None) if row not in known], limit)


def _null_spread(curves: np.ndarray, resamples: int = 2000) -> float:
    """The spread that chance alone exceeds one time in twenty: slots permuted within questions."""
    rng = np.random.default_rng(0)
    spreads = [np.ptp(rng.permuted(curves, axis=0).mean(1)) for _ in range(resamples)]
    return float(np.quantile(spreads, 0.95))


def _points(values: Any) -> list[float]:
    """Mean and 95 % interval, in percent."""
    mean = bootstrap_mean(np.asarray(values, dtype=np.float64), seed=1)
    return [round(100 * value, 1) for value in (mean.value, mean.low, mean.high)]


def table_of_sets(measured: dict[str, Any]) -> str:
    """What `by_set` measured, as a Markdown table."""
    lines = ["| set | F1 (95 %) | EM | n | words |", "|---|--:|--:|--:|--:|"]
    for name, row in measured.items():
        low, high = row["f1_interval"]
        lines.append(
            f"| {name} | {row['f1']:.1f} ({low:.1f}–{high:.1f}) | {row['em']:.1f} | {row['n']} "
            f"| {row['words']} |"
        )
    return "\n".join(lines)


def table_of_positions(measured: dict[str, Any]) -> str:
    """What `by_position` measured, as a Markdown table."""
    lines = [
        "| others | F1 by slot of the gold passage | mean (95 %) | spread | by chance | loss |",
        "|--:|---|--:|--:|--:|--:|",
    ]
    for key, row in measured.items():
        if not key.isdigit():
            continue
        curve = ", ".join(f"{s}: {f[0]:.1f}" for s, f in zip(row["slots"], row["f1"], strict=True))
        mean, low, high = row["mean"]
        lines.append(
            f"| {key} | {curve} | {mean:.1f} ({low:.1f}–{high:.1f}) | {row['spread']:.1f} "
            f"| {row['spread_if_none']:.1f} | {row['loss']:.1f} |"
        )
    return "\n".join(lines)


def table_of_refusal(measured: dict[str, Any]) -> str:
    """What `by_refusal` measured, as a Markdown table."""
    columns = ("precision", "recall", "auroc", "calibration_error", "n")
    cells = (str(measured[column]) for column in columns)
    return f"| {' | '.join(columns)} |\n|{'--:|' * len(columns)}\n| {' | '.join(cells)} |"


PARTS = {
    "sets": (by_set, table_of_sets),
    "positions": (by_position, table_of_positions),
    "refusal": (by_refusal, table_of_refusal),
}


def run(part: str, config: Config) -> str:
    """Measure one part; return its table."""
    prepare(config)
    measure, table = PARTS[part]
    reader = load_bundled(config.reader)
    measured = measure(reader, load_embedder(), config)
    config.logs.mkdir(parents=True, exist_ok=True)
    path = config.logs / f"measured-{part}.json"
    path.write_text(json.dumps({"model": reader.name, **measured}, indent=1) + "\n", "utf-8")
    return table(measured)


def main() -> None:
    """Measure one part as the command line asks."""
    parser = stage_parser(__doc__)
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("--limit", type=int, help="questions instead of as many as configured")
    arguments = parser.parse_args()
    config = configured(arguments)
    if arguments.limit:
        config = replace(config, measure={**config.measure, arguments.part: arguments.limit})
    sys.stdout.write(run(arguments.part, config) + "\n")


if __name__ == "__main__":
    main()
