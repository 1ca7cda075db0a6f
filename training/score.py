"""Score a network on a question file, each question reading its own passage alone."""

from __future__ import annotations

from pathlib import Path

import torch

from ragctx.evaluation.metrics import exact_match, token_f1
from ragctx.generator.decode import best_spans
from ragctx.generator.network import ReaderNetwork
from training.common import bundled_tokenizer
from training.data import Passage, Question, read_rows
from training.forward import gather, passages_tensor, question_tensors


@torch.inference_mode()
def score_questions(network: ReaderNetwork, path: Path, limit: int | None) -> dict[str, float]:
    """Token F1 and exact match (percent) of grounded answers; n questions spread over the file."""
    rows = [row for row in read_rows(path) if row["answers"]]
    rows = rows[:: max(1, len(rows) // limit)][:limit] if limit else rows
    tokenizer = bundled_tokenizer()
    by_context: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        by_context.setdefault(row["context"], []).append(row)
    f1 = em = 0.0
    for context, asked in by_context.items():
        encoded = tokenizer.encode(context, add_special_tokens=False)
        ids, mask, content = passages_tensor([Passage("", encoded.ids[:400])])
        questions = [
            Question(
                tuple(tokenizer.encode(str(r["question"]), add_special_tokens=False).ids[:60]), ()
            )
            for r in asked
        ]
        network.eval()
        segments = network.encode(ids, mask)
        slots = torch.zeros(len(asked), 1, dtype=torch.long)
        past, states = gather(network, segments, mask, slots, slots == 0, slots)
        tokens, positions, visible, mask_at = question_tensors(
            questions, [[] for _ in asked], [ids.shape[1]] * len(asked)
        )
        answers, _ = network.read(tokens, positions, past, visible)
        for i, row in enumerate(asked):
            reading = best_spans(network, answers[i, mask_at[i]], states[i], content[0])
            best = reading.spans[0]
            start, end = encoded.offsets[best.first - 1][0], encoded.offsets[best.last - 1][1]
            golds = [str(a) for a in row["answers"]]  # type: ignore[attr-defined]
            f1 += token_f1(context[start:end], golds)
            em += exact_match(context[start:end], golds)
    network.train()
    return {"f1": 100 * f1 / len(rows), "em": 100 * em / len(rows), "n": len(rows)}
