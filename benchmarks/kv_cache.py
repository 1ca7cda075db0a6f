"""What a KV cache brings a local model: steps, whole answers, and prompts that are partly known.

    python -m benchmarks.kv_cache                               # four minutes on two cores
    python -m benchmarks.kv_cache --picture docs/images/kv_cache.svg

With `pip install gguf xllamacpp` llama.cpp answers too, with the same weights in float32.

The model has random weights (speed does not depend on them) and the shape of a small Llama. Per
step, cached decoding reads all weights and all keys and values once, which the memory's bandwidth
bounds from below; without a cache every step reads the whole text again. Times are of processors,
so that other work on the machine shows little, but for the bandwidth bound, which is of the clock.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.ask import SAMPLES, indexed
from benchmarks.common import result, table
from benchmarks.llama_cpp import LlamaCpp, is_installed, same_answers, write_gguf
from ragctx.assembly import Assembly
from ragctx.certificate import SegmentKind
from ragctx.embedding import load_embedder
from ragctx.generator.huggingface.apart import FRESH_TOKENS
from ragctx.generator.huggingface.kept_prefixes import KeptPrefixes, Layers
from ragctx.generator.huggingface.load import load_huggingface
from ragctx.generator.huggingface.model import HuggingFaceGenerator
from ragctx.generator.prefix import common_prefix
from ragctx.index.index import Index
from ragctx.pipeline import ask
from ragctx.placement.orders import PositionProfile
from ragctx.records import Generation, Prompt, Segment
from ragctx.tokens.load import load_tokenizer

CONTEXTS = (128, 256, 512, 1024, 2048)  # tokens before the measured steps
STEPS = 8  # measured at each context, after one that is not
ANSWER = 32  # tokens of the answers beside transformers' generate
WINDOW = 4096
VOCABULARY = 8192
PASSAGE = 230  # tokens of a passage, its header included
PASSAGES = (4, 8, 16)
NO_DIFFERENCE = PositionProfile("any", (0.5, 0.5), significant=False)
ASSEMBLIES = {
    "edges": Assembly(),
    "edges, prefer cached": Assembly(prefer_cached=True),
    "document_order": Assembly(placement="document_order"),
    "any order, prefer cached": Assembly(
        placement="calibrated", profile=NO_DIFFERENCE, prefer_cached=True
    ),
}
COPIED_BYTES = 2**28  # to measure the memory's bandwidth with


def small_llama(folder: Path) -> Path:
    """A random Llama of some 20 million weights, as a user's directory has it."""
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=384,
        intermediate_size=1536,
        num_hidden_layers=6,
        num_attention_heads=12,
        num_key_value_heads=4,
        max_position_embeddings=WINDOW,
        eos_token_id=None,
        bos_token_id=None,
    )
    LlamaForCausalLM(shape).save_pretrained(folder)
    words = {f"w{i}": i for i in range(VOCABULARY)}
    Tokenizer(WordLevel(words, unk_token="w0")).save(str(folder / "tokenizer.json"))
    return folder


def ids_of(length: int, seed: int = 0) -> list[int]:
    source = torch.Generator().manual_seed(seed)
    return torch.randint(VOCABULARY, (length,), generator=source).tolist()


def processor_s(call: Callable[[], object], repeats: int) -> float:
    """Processor seconds of one call: the least of `repeats`, after one that is not counted."""
    call()
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        spent.append(time.process_time() - began)
    return min(spent)


def step_s(generator: HuggingFaceGenerator, context: int) -> dict[str, float]:
    """Processor seconds of a token after `context` others, with and without a cache."""
    model: Any = generator.reading.model
    ids = ids_of(context)
    run, _, _ = generator.reading.read(ids)
    cached = processor_s(lambda: generator.reading.forward(run, [1]), STEPS)
    whole = torch.tensor([ids])
    with torch.inference_mode():
        bare = processor_s(lambda: model(input_ids=whole, use_cache=False, logits_to_keep=1), 2)
    return {"cached_s": cached, "uncached_s": bare}


def bytes_per_s() -> float:
    """What a copy of a large tensor reads in a second, on the clock: the best of five."""
    source = torch.zeros(COPIED_BYTES, dtype=torch.uint8)
    target = torch.empty_like(source)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - began)
    return 2 * COPIED_BYTES / min(times)


def bound_s(generator: HuggingFaceGenerator, context: int, bandwidth: float) -> float:
    """Seconds that reading all weights, keys and values once takes at least."""
    model: Any = generator.reading.model
    weights = sum(p.nbytes for p in model.parameters()) - model.get_input_embeddings().weight.nbytes
    config = model.config
    width = config.hidden_size // config.num_attention_heads
    kept = 2 * config.num_hidden_layers * config.num_key_value_heads * width * 4 * context
    return float((weights + kept) / bandwidth)


def prompt_of(ids: Sequence[int]) -> Prompt:
    segment = Segment(kind="instruction", label="", text="", token_ids=tuple(ids))
    return Prompt(
        segments=(segment,),
        question="",
        placement="edges",
        context_window=WINDOW,
        max_new_tokens=ANSWER,
        budget_tokens=WINDOW,
    )


def beside_others(
    generator: HuggingFaceGenerator, llama: LlamaCpp | None, context: int
) -> dict[str, float]:
    """Processor seconds of an answer here, by `generate` and by llama.cpp, on the same weights."""
    model: Any = generator.reading.model
    ids = ids_of(context)
    inputs = torch.tensor([ids])
    mask = torch.ones_like(inputs)

    def ours() -> None:
        generator.forget()
        generator.generate(prompt_of(ids))

    def theirs(tokens: int) -> None:
        model.generate(
            inputs, attention_mask=mask, max_new_tokens=tokens, do_sample=False, pad_token_id=0
        )

    generator.generate(prompt_of(ids))
    return {
        "cold_s": processor_s(ours, 3),
        "again_s": processor_s(lambda: generator.generate(prompt_of(ids)), 3),
        "generate_s": processor_s(lambda: theirs(ANSWER), 3),
        "prefill_s": processor_s(lambda: theirs(1), 3),
        **(
            {}
            if llama is None
            else {
                "llama_cpp_s": processor_s(lambda: llama.answer(ids, ANSWER), 3),
                "llama_cpp_prefill_s": processor_s(lambda: llama.answer(ids, 1), 3),
            }
        ),
    }


def passages_prompt(passages: Sequence[int], tokens: int) -> Prompt:
    """Instructions, passages of so many tokens by their numbers, a question."""

    def segment(kind: SegmentKind, seed: int, length: int) -> Segment:
        ids = tuple(ids_of(length, seed))
        return Segment(
            kind=kind, label=str(seed), text="", token_ids=ids, token_start=8, token_end=length
        )

    return Prompt(
        segments=(
            segment("instruction", 1000, 60),
            *(segment("passage", number, tokens) for number in passages),
            segment("question", 2000, 24),
        ),
        question="",
        placement="edges",
        context_window=WINDOW,
        max_new_tokens=ANSWER,
        budget_tokens=WINDOW,
    )


def in_another_order(folder: Path, passages: int) -> dict[str, float]:
    """Processor seconds to read passages that were read before, in another order."""
    exact = load_huggingface(folder)
    apart = load_huggingface(folder, reuse_passages=True)
    before = passages_prompt(range(passages), PASSAGE)
    asked = passages_prompt([*range(passages)][::-1], PASSAGE)
    apart._read(before)

    def cold() -> None:
        exact.forget()
        exact._read(asked)

    return {
        "whole_s": processor_s(cold, 3),
        "apart_s": processor_s(lambda: apart._read(asked), 3),
        "reused": apart._read(asked)[2] / len(asked.token_ids),
    }


class Recorder:
    """A generator that only keeps the prompts it is given."""

    name, template, context_window = "recorder", "qa", WINDOW
    caches_prompts, decoding, only_language = False, "greedy", ""

    def __init__(self) -> None:
        self.tokenizer = load_tokenizer("bundled")
        self.prompts: list[Prompt] = []
        self.kept = KeptPrefixes(10**9)

    def cached_tokens(self, token_ids: Sequence[int]) -> int:
        return self.kept.length(token_ids[:-1], kind="")

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        self.prompts.append(prompt)
        self.kept.keep(prompt.token_ids, _no_layers(prompt.token_count), kind="")
        return Generation(
            text="None.",
            token_ids=(),
            finish_reason="stop",
            prefill_s=0.0,
            decode_s=0.0,
            reused_tokens=0,
        )

    def identity(self) -> tuple[str, ...]:
        return (self.name,)

    def forget(self) -> None:
        """Keeps nothing."""


def sample_prompts(assembly: Assembly) -> list[Prompt]:
    """The prompts of the sample questions, in their order."""
    lines = (SAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
    recorder, embedder = Recorder(), load_embedder()
    with tempfile.TemporaryDirectory() as folder:
        index = Index.open(indexed(Path(folder), 0, embedder), embedder=embedder)
        for line in lines:
            question = json.loads(line)["question"]
            ask(question, index, embedder, recorder, assembly=assembly)
    return recorder.prompts


def shares_reused(prompts: Sequence[Prompt]) -> dict[str, float]:
    """Shares of all prompt tokens: what each way of keeping would not have read again."""
    kept = KeptPrefixes(10**9)
    seen: set[tuple[int, ...]] = set()
    last: tuple[int, ...] = ()
    total = by_last = by_all = by_passage = apart = 0
    for prompt in prompts:
        ids = prompt.token_ids
        total += len(ids)
        by_last += common_prefix(last, ids)
        found = kept.longest(ids[:-1], kind="")
        by_all += found[0][0].shape[-2] if found else 0
        kept.keep(ids, _no_layers(len(ids)), kind="")
        for passage in prompt.passages:
            own = passage.token_ids[passage.token_start : passage.token_end]
            by_passage += len(own) if own in seen else 0
            apart += max(0, len(own) - FRESH_TOKENS) if own in seen else 0
            seen.add(own)
        last = ids
    counts = {
        "last prompt": by_last,
        "all prompts": by_all,
        "passages apart": apart,
        "passages (ceiling)": by_passage,
    }
    return {name: round(count / total, 4) for name, count in counts.items()}


def _no_layers(tokens: int) -> Layers:
    one = torch.zeros(1, 1, tokens, 1, dtype=torch.uint8)
    return ((one, one),)


def picture(steps: dict[int, dict[str, float]]) -> str:
    """Milliseconds a step over the context, both axes logarithmic, as SVG."""
    lines = {"without a cache": "uncached_s", "cached": "cached_s", "memory bound": "bound_s"}
    colours = {"without a cache": "#b3261e", "cached": "#1a56a0", "memory bound": "#777777"}
    values = [row[key] * 1e3 for row in steps.values() for key in lines.values()]
    low, high = min(values), max(values)
    logs = torch.tensor([low, high]).log()

    def place(context: int, milliseconds: float) -> tuple[float, float]:
        x = 60 + 380 * CONTEXTS.index(context) / (len(CONTEXTS) - 1)
        share = (torch.tensor(milliseconds).log() - logs[0]) / (logs[1] - logs[0])
        return round(x, 1), round(250 - 220 * float(share), 1)

    shapes = []
    for name, key in lines.items():
        points = [place(context, row[key] * 1e3) for context, row in steps.items()]
        path = " ".join(f"{x},{y}" for x, y in points)
        (x, y), value = points[-1], steps[CONTEXTS[-1]][key] * 1e3
        shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>'
            f'<text x="{x + 8}" y="{y + 4}" fill="{colours[name]}">{name}, {value:.1f} ms</text>'
        )
    shapes += [
        f'<text x="{place(context, low)[0]}" y="275" text-anchor="middle" fill="#777777">'
        f"{context:,}</text>"
        for context in CONTEXTS
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 310" font-size="13" '
        'font-family="sans-serif" role="img"><title>Time of a step</title><desc>Milliseconds of '
        "one decoding step over the tokens before it, cached and not, both axes logarithmic."
        "</desc>" + "".join(shapes) + '<text x="250" y="300" text-anchor="middle" fill="#777777">'
        "tokens before the step</text></svg>\n"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--picture", type=Path, help="where the curve of the steps goes (SVG)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # so that a processor's seconds are comparable
    with tempfile.TemporaryDirectory() as folder:
        generator = load_huggingface(small_llama(Path(folder)))
        llama = None
        if is_installed():
            model = generator.reading.model
            llama = LlamaCpp(write_gguf(model, Path(folder) / "small.gguf"), WINDOW)
            alike = same_answers(model, llama, ids_of(256), ANSWER)
            print(f"llama.cpp answers {alike} of {ANSWER} tokens as transformers does")
        bandwidth = bytes_per_s()
        steps = {
            context: {
                **step_s(generator, context),
                "bound_s": bound_s(generator, context, bandwidth),
            }
            for context in CONTEXTS
        }
        answers = {context: beside_others(generator, llama, context) for context in CONTEXTS[1:]}
        reordered = {passages: in_another_order(Path(folder), passages) for passages in PASSAGES}
    reuse = {name: shares_reused(sample_prompts(how)) for name, how in ASSEMBLIES.items()}
    table(
        ("ms per step after", "cached", "uncached", "memory bound"),
        [(c, *(f"{value * 1e3:.2f}" for value in row.values())) for c, row in steps.items()],
    )
    table(
        (
            f"ms for {ANSWER} tokens after",
            *("cold", "again", "generate", "its prefill", "llama.cpp", "its prefill")[
                : len(answers[CONTEXTS[1]])
            ],
        ),
        [(c, *(f"{value * 1e3:.0f}" for value in row.values())) for c, row in answers.items()],
    )
    table(
        ("passages known, in another order", "ms whole", "ms apart", "tokens reused"),
        [
            (
                n,
                f"{row['whole_s'] * 1e3:.0f}",
                f"{row['apart_s'] * 1e3:.0f}",
                f"{row['reused']:.0%}",
            )
            for n, row in reordered.items()
        ],
    )
    table(
        ("share of prompt tokens reused", *next(iter(reuse.values()))),
        [(p, *(f"{share:.1%}" for share in row.values())) for p, row in reuse.items()],
    )
    if arguments.picture:
        arguments.picture.write_text(picture(steps), "utf-8")
    result(
        "kv_cache",
        bytes_per_s=round(bandwidth),
        steps=steps,
        answers=answers,
        reordered=reordered,
        reuse=reuse,
    )


if __name__ == "__main__":
    main()
