"""Score a network on a question file, each question reading its own passage alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from ragctx.evaluation.metrics import exact_match, token_f1
from ragctx.generator.reader.kv_cache import concatenate
from ragctx.generator.reader.network import ReaderNetwork
from ragctx.generator.reader.spans import best_spans, by_agreement
from training.common import bundled_tokenizer
from training.data import CLS, MASK, SEP, read_rows
from training.graphs import runnable
from training.network import TorchNetwork


def score_questions(network: TorchNetwork, path: Path, limit: int | None) -> dict[str, float]:
    """Token F1 and exact match (percent) of grounded answers; n questions spread over the file."""
    rows = [row for row in read_rows(path) if row["answers"]]
    rows = rows[:: max(1, len(rows) // limit)][:limit] if limit else rows
    tokenizer, runs = bundled_tokenizer(), runnable(network)
    f1 = em = 0.0
    for row in rows:
        text = answer(runs, tokenizer, row["context"], row["question"])
        f1 += token_f1(text, row["answers"])
        em += exact_match(text, row["answers"])
    return {"f1": 100 * f1 / len(rows), "em": 100 * em / len(rows), "n": len(rows)}


def answer(network: ReaderNetwork, tokenizer: RustTokenizer, context: str, question: str) -> str:
    """The text of the best span of one passage."""
    encoded = tokenizer.encode(context, add_special_tokens=False)
    passage = (CLS, *encoded.ids[:500], SEP)
    asked = tokenizer.encode(question, add_special_tokens=False).ids[:60]
    cached = network.encode([passage])
    states = network.read_question((*asked, SEP, MASK), concatenate(cached))
    (seen,) = network.second_pass([cached[0].early], states)
    content = np.ones(len(passage), dtype=np.bool_)
    content[0] = content[-1] = False
    spans, _ = best_spans(network, states.answer, seen, content, network.second_null_score)
    offsets = [(0, 0), *encoded.offsets]  # of [CLS], then of the passage
    texts = {span: context[offsets[span.first][0] : offsets[span.last][1]] for span in spans}
    return texts[by_agreement(spans, list(texts.values()), question)[0]]
