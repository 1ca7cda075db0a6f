"""What reuse saves the bundled reader: first answer, decoding and loading, side by side.

One run, one thread unless `--threads` says otherwise: the reader with its passages cached, the
same weights without any cache, and a transformers model of the same shape (Llama, random weights)
under `generate`. The limit printed beside decoding is the machine's memory bandwidth: each token
must read all weights and the whole KV cache once.

    python -m benchmarks.reader
    python -m benchmarks.reader --threads 2 --repeats 9
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import result, table, times_s
from ragctx.generator.reader.checkpoint import load_network, reader_files
from ragctx.generator.reader.context import context_of
from ragctx.generator.reader.decode import LikeliestToken, decode_tokens
from ragctx.generator.reader.kv_cache import concatenate
from ragctx.generator.reader.network import ReaderNetwork, question_mask
from ragctx.generator.reader.reader import BundledReader, load_bundled
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt
from ragctx.prompt.template import load_template
from ragctx.records import Hit, Prompt
from ragctx.threads import THREADS

CHUNK_TOKENS = 254
CONTEXTS = (1024, 2048, 4096)
NEW_TOKENS = 24
PARAMETERS = 22_400_000  # that a step reads: six layers, and the embeddings of all tokens
QUESTION = "When was the bridge over the river opened to the public?"
WORDS = (
    "the bridge over river was built by a company from north and opened to public in year after "
    "long work of many people who came there for money stone iron water city council report said"
).split()


def median_s(call: Callable[[], object], repeats: int) -> float:
    """Median seconds of a call, after one that does not count."""
    return statistics.median(times_s(call, repeats))


def prompt_of(tokens: int, reader: BundledReader, seed: int) -> Prompt:
    """A prompt with about `tokens` tokens of passages."""
    source = random.Random(seed)
    hits = []
    for i in range(tokens // (CHUNK_TOKENS + 2)):
        text = " ".join(source.choices(WORDS, k=CHUNK_TOKENS))
        hits.append(Hit.from_text(i + 1, -float(i), text, f"d{i}"))
    return build_prompt(
        load_template("reader"),
        QUESTION,
        place(hits),
        reader.tokenizer,
        context_window=10**6,
        max_new_tokens=NEW_TOKENS,
    )


def full_prefill(network: ReaderNetwork, ids: list[int]) -> np.ndarray:
    """Every token attends to every token, nothing kept from before: what a cache saves."""
    return network.read_question(tuple(ids), network.empty_cache).answer


def uncached_decoding(reader: BundledReader, prompt: Prompt, tokens: int) -> None:
    """Write `tokens` tokens, reading everything again for each."""
    ids = list(prompt.token_ids)
    for _ in range(tokens):
        state = full_prefill(reader.network, ids)
        ids.append(int(reader.network.vocabulary_scores(state).argmax()))


def first_answers(reader: BundledReader, repeats: int) -> dict[str, Any]:
    """Seconds to the answer at each context length, both passes included; and of a full prefill."""
    prompts = {tokens: prompt_of(tokens, reader, seed=1) for tokens in CONTEXTS}
    ids = list(prompts[CONTEXTS[-1]].token_ids)
    full_s = median_s(lambda: full_prefill(reader.network, ids), max(2, repeats // 3))
    rows: dict[str, Any] = {}
    for tokens, prompt in prompts.items():
        reader.forget()
        began = time.perf_counter()
        reader.generate(prompt)
        cold_s = time.perf_counter() - began
        cached_s = median_s(partial(reader.generate, prompt), repeats)
        rows[str(tokens)] = {
            "prompt_tokens": prompt.token_count,
            "cached_s": cached_s,
            "passages_read_now_s": cold_s,
            "full_prefill_at_4096_over_cached": full_s / cached_s,
        }
    return {"full_prefill_at_4096_s": full_s, "contexts": rows}


def decoding(reader: BundledReader, repeats: int, bandwidth: float) -> dict[str, Any]:
    """Milliseconds a token: grounded, free over the cache, uncached, and under `generate`."""
    prompt = prompt_of(CONTEXTS[0], reader, seed=1)
    runs = [reader.generate(prompt) for _ in range(repeats)]
    grounded, chosen_s = runs[0], statistics.median(run.prefill_s for run in runs)
    grounded_s = statistics.median(run.decode_s for run in runs)
    free_ms = 1e3 * statistics.median(free_s(reader, prompt) for _ in range(repeats)) / NEW_TOKENS
    uncached_s = median_s(lambda: uncached_decoding(reader, prompt, 2), 2)
    theirs_ms = llama_ms(prompt.token_count, repeats)
    held = concatenate(reader.encode(reader.parts(prompt)[0])).nbytes
    return {
        "context_tokens": prompt.token_count,
        "kv_cache_bytes": held,
        "grounded_tokens": len(grounded.token_ids),
        "grounded_until_chosen_ms": 1e3 * chosen_s,
        "grounded_after_ms": 1e3 * grounded_s,
        "grounded_after_ms_per_token": 1e3 * grounded_s / max(1, len(grounded.token_ids)),
        "free_ms_per_token": free_ms,
        "uncached_ms_per_token": 1e3 * uncached_s / 2,
        "transformers_ms_per_token": theirs_ms,
        "transformers_over_free": theirs_ms / free_ms,
        "bandwidth_limit_ms_per_token": 1e3 * (held + 4 * PARAMETERS) / bandwidth,
    }


def free_s(reader: BundledReader, prompt: Prompt) -> float:
    """Seconds to write `NEW_TOKENS` tokens over the cached passages, prefill not counted."""
    passages, question = reader.parts(prompt)
    cached, _ = reader.cache.fetch(passages, reader.encode)
    mask = question_mask(len(question))
    read = reader.network.read(question, concatenate(cached), visible=mask)
    context, content = context_of(prompt, cached, reader.tokenizer)
    ids = [token for passage in passages for token in passage]
    began = time.perf_counter()
    decode_tokens(
        reader.network,
        read,
        LikeliestToken(reader.network, context, content, ids),
        offset=len(question),
        stop=-1,
        max_new_tokens=NEW_TOKENS,
    )
    return time.perf_counter() - began


def llama_ms(context: int, repeats: int) -> float:
    """Milliseconds a token of transformers' `generate`, prefill taken off."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(int(os.environ[THREADS]))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30522,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=12,
        num_key_value_heads=12,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config).train(False)
    ids = torch.randint(5, 30000, (1, context))
    mask = torch.ones_like(ids)

    def run(tokens: int) -> float:
        return median_s(
            lambda: model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
            ),
            repeats,
        )

    return 1e3 * (run(NEW_TOKENS + 1) - run(1)) / NEW_TOKENS


def bandwidth_bytes_per_s(repeats: int) -> float:
    """Bytes read per second by a sum over 256 MiB."""
    block = np.ones(2**26, dtype=np.float32)
    return block.nbytes / median_s(block.sum, repeats)


def loading(repeats: int) -> dict[str, Any]:
    """Seconds to load the weights and to build the whole reader."""
    files = reader_files()
    return {
        "weights_bytes": files.weights.stat().st_size,
        "network_s": median_s(lambda: load_network(files), repeats),
        "reader_s": median_s(load_bundled, repeats),
    }


def main() -> None:
    """Run everything; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    os.environ[THREADS] = str(arguments.threads)
    reader = load_bundled()
    reader.threshold = -1.0
    bandwidth = bandwidth_bytes_per_s(arguments.repeats)
    loaded = loading(arguments.repeats)
    first = first_answers(reader, arguments.repeats)
    decoded = decoding(reader, arguments.repeats, bandwidth)
    rows = [
        (
            tokens,
            *(f"{row[key]:.3f}" for key in ("cached_s", "passages_read_now_s")),
            f"{row['full_prefill_at_4096_over_cached']:.1f}x",
        )
        for tokens, row in first["contexts"].items()
    ]
    table(("context", "answer, cached s", "passages read now s", "full prefill at 4096"), rows)
    table(("decoding", "value"), [(key, f"{value:.2f}") for key, value in decoded.items()])
    table(("loading", "value"), [(key, f"{value:.3f}") for key, value in loaded.items()])
    result(
        "reader",
        seed=1,
        **vars(arguments),
        bandwidth_gb_per_s=bandwidth / 1e9,
        loading=loaded,
        first_answer=first,
        decoding=decoded,
    )


if __name__ == "__main__":
    main()
