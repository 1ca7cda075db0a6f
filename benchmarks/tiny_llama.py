"""A tiny Llama for position sweeps, trained from scratch on key-value retrieval.

    python -m benchmarks.tiny_llama --out FOLDER            # a few minutes on two cores

No pretrained causal model is at hand offline, and a simulated one would only show the curve that
was put in. This one is a real Hugging Face model (two layers, 0.1 million weights) whose position
curve is whatever training left: it has seen prompts of at most `TRAINED_PAIRS` pairs, so prompts of
20 are beyond what it knows. FOLDER gets the model, its prompt template (`pairs.prompt`), and
questions that training cannot have seen whole: to measure its profile (`probes.jsonl`), and others
to compare placements with (`questions.jsonl`).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TRAINED_PAIRS = 12  # most pairs of a training prompt
ASKED_PAIRS = 20  # pairs of each question's prompt
QUESTIONS = 400  # in each file that is written
QUERIES = 12  # questions after each training prompt: more to learn from than one
KEYS, VALUES = 32, 32  # different words of each kind
TEMPLATE = "{passages}{text} ; {/passages}{question} "

WORDS = ["<pad>", "<unk>", "<end>", ";"]


def value_word(number: int) -> str:
    """A word for a value, all of equal length: "v1" would be part of "v12" and count as right."""
    return f"v{number:02d}"


def vocabulary() -> dict[str, int]:
    words = [*WORDS, *(f"k{i}" for i in range(KEYS)), *map(value_word, range(VALUES))]
    return {word: i for i, word in enumerate(words)}


def tokens_of(text: str, ids: dict[str, int]) -> list[int]:
    """The ids of spaced text, as the saved tokenizer gives them."""
    return [ids.get(word, ids["<unk>"]) for word in text.split()]


def pair_text(key: int, value: int) -> str:
    return f"k{key} {value_word(value)}"


def question_text(key: int) -> str:
    return f"k{key}"


def training_row(
    pairs: int, rng: random.Random, ids: dict[str, int]
) -> tuple[list[int], list[int]]:
    """Token ids, and the labels: the answers' tokens only."""
    keys, values = rng.sample(range(KEYS), pairs), rng.choices(range(VALUES), k=pairs)
    row: list[int] = []
    for key, value in zip(keys, values, strict=True):
        row += tokens_of(f"{pair_text(key, value)} ;", ids)
    labels = [-100] * len(row)
    for _ in range(QUERIES):
        asked = rng.randrange(pairs)
        question = tokens_of(question_text(keys[asked]), ids)
        answer = [ids[value_word(values[asked])]]
        row += question + answer
        labels += [-100] * len(question) + answer
    return row, labels


def batch_of(
    size: int, pairs: int, rng: random.Random, ids: dict[str, int]
) -> tuple[Tensor, Tensor]:
    rows = [training_row(pairs, rng, ids) for _ in range(size)]
    return torch.tensor([row for row, _ in rows]), torch.tensor([labels for _, labels in rows])


def new_model(size: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        initializer_range=0.05,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config)


def train(steps: int, seed: int) -> LlamaForCausalLM:
    """Prompts grow from 2 pairs to `TRAINED_PAIRS` over the first half of the steps."""
    torch.manual_seed(seed)
    rng, ids = random.Random(seed), vocabulary()
    model = new_model(len(ids))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    began = time.perf_counter()
    for step in range(steps):
        most = 2 + (TRAINED_PAIRS - 2) * min(1.0, 2 * step / steps)
        inputs, labels = batch_of(64, rng.randint(2, max(2, int(most))), rng, ids)
        logits = model(input_ids=inputs).logits[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 200 == 0 or step == steps - 1:
            spent = time.perf_counter() - began
            print(f"step {step:5d}  loss {loss.item():.3f}  {spent:.0f} s", file=sys.stderr)
    model.train(False)
    return model


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """The model with a tokenizer that reads spaced words."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(WordLevel(vocabulary(), unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<end>", pad_token="<pad>"
    ).save_pretrained(folder)
    model.generation_config.eos_token_id = vocabulary()["<end>"]
    model.save_pretrained(folder)
    (folder / "pairs.prompt").write_text(TEMPLATE, "utf-8")


def questions(count: int, pairs: int, seed: int) -> list[dict[str, object]]:
    """Questions in ragctx's own layout, the gold passage first."""
    rng = random.Random(seed)
    rows: list[dict[str, object]] = []
    for number in range(count):
        keys, values = rng.sample(range(KEYS), pairs), rng.sample(range(VALUES), pairs)
        texts = [pair_text(key, value) for key, value in zip(keys, values, strict=True)]
        rows.append(
            {
                "id": f"pairs-{number}",
                "question": question_text(keys[0]),
                "answers": [value_word(values[0])],
                "synthetic": True,
                "ctxs": [
                    {"title": "", "text": text, "isgold": i == 0} for i, text in enumerate(texts)
                ],
            }
        )
    return rows


def main() -> None:
    """Train, save, write the questions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    save(train(arguments.steps, arguments.seed), arguments.out)
    for seed, name in enumerate(("probes.jsonl", "questions.jsonl"), start=arguments.seed + 1):
        lines = [json.dumps(row) for row in questions(QUESTIONS, ASKED_PAIRS, seed)]
        (arguments.out / name).write_text("\n".join(lines) + "\n", "utf-8")
    print(f"written to {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
