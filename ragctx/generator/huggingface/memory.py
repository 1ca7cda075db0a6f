"""What a model's weights need and what this machine has, known before anything is loaded."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ragctx.errors import ModelError

_BYTES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2}
_TORCH = {"F64": torch.float32, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
_MAX_HEADER = 2**27  # bytes; the largest checkpoints have some millions
_GB = 1e9
_REST = 1.02  # bytes a number of large models in 8 bits, with a scale for each row; by hand
_STAYS = re.compile(r"embed|wte|wpe|head|embd|\.experts\.|\.(?:router|gate)\.|^output\.")  # names
_STAYS_WHOLE = re.compile(r"gpt2|openai-gpt")  # model types whose layers are no torch.nn.Linear
_HEAD, _INPUT = re.compile(r"lm_head|embed_out|output\."), re.compile(r"embed_in|embed_tokens|wte")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_CHOSEN = ("num_experts_per_tok", "moe_topk", "moe_top_k", "moe_k")

INT8 = "int8"
"""Weights in 8 bits, computed with in the precision beside it."""


def best_device() -> torch.device:
    """CUDA if there is a device, then Apple's, then the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def named_dtype(name: str) -> torch.dtype:
    """The type of numbers with one of torch's names, such as "bfloat16"."""
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def quick_dtype(directory: Path, device: torch.device) -> torch.dtype:
    """The weights' own type where the device computes with it quickly, else float32."""
    numbers = weight_numbers(directory)
    own = _TORCH.get(max(numbers, key=numbers.__getitem__, default="F32"), torch.float32)
    if device.type != "cpu" or own == torch.float32:
        return own
    return torch.bfloat16 if _processor_has_bfloat16() else torch.float32


def _processor_has_bfloat16() -> bool:
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)


def weight_numbers(directory: Path) -> Counter[str]:
    """How many numbers of each type the weights are, from the headers of the safetensors files.

    A file that cannot be read counts for nothing here: loading it says what is wrong.
    """
    found: Counter[str] = Counter()
    for tensor in _tensors(directory):
        found[tensor.kind] += tensor.numbers
    return found


def weight_bytes(directory: Path, dtype: torch.dtype, *, int8: bool = False) -> int:
    """Bytes that the weights take once loaded, in 8 bits as far as torchao holds them so.

    That is the matrices of linear layers, each row with a scale. Embeddings, the vocabulary's head,
    mixed experts with what chooses them (which transformers puts into one tensor) and GPT-2's
    layers stay as they are.
    """
    held = 0
    int8 = int8 and not _STAYS_WHOLE.search(str(_stated(directory).get("model_type")))
    for name, kind, shape, stored in _tensors(directory):
        if kind not in _BYTES:  # packed, as quantised models are: held as it is
            held += stored
            continue
        is_linear = len(shape) == 2 and not _STAYS.search(name)
        rows, size = shape[0] if shape else 1, math.prod(shape)
        held += size + rows * (dtype.itemsize + 1) if int8 and is_linear else size * dtype.itemsize
    return held


def read_numbers(directory: Path) -> int:
    """How many of the weights' numbers are used for one token.

    Of mixed experts that is the share that a token is sent to, of embeddings a row of no account,
    unless the same matrix is the vocabulary's head.
    """
    config = _stated(directory)
    experts = next(filter(None, (_count(config.get(name)) for name in _EXPERTS)), 0)
    chosen = next(filter(None, (_count(config.get(name)) for name in _CHOSEN)), experts)
    share = chosen / experts if experts else 1.0
    tensors = list(_tensors(directory))
    has_head = any(_HEAD.search(tensor.name) for tensor in tensors)
    read = 0.0
    for tensor in tensors:
        if ".experts." in tensor.name:
            read += tensor.numbers * share
        elif not (has_head and _INPUT.search(tensor.name)):
            read += tensor.numbers
    return round(read)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


class _Tensor(NamedTuple):
    name: str
    kind: str
    shape: tuple[int, ...]
    stored: int  # bytes

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


def _tensors(directory: Path) -> Iterator[_Tensor]:
    """What the headers of the safetensors files state."""
    for file in directory.glob("*.safetensors"):
        try:
            with file.open("rb") as stream:
                size = int.from_bytes(stream.read(8), "little")
                header = json.loads(stream.read(size)) if size <= _MAX_HEADER else {}
            for name, stated in header.items():
                if name != "__metadata__":
                    shape = tuple(int(side) for side in stated["shape"])
                    first, last = map(int, stated["data_offsets"])
                    yield _Tensor(name, str(stated["dtype"]), shape, last - first)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue


def _stated(directory: Path) -> dict[str, Any]:
    """What a model's config states, that of its text model first; nothing if it cannot be read."""
    try:
        stated = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # loading says why
    if not isinstance(stated, dict):
        return {}
    text = stated.get("text_config")
    return {**stated, **text} if isinstance(text, dict) else stated


def check_memory(
    directory: Path, dtype: torch.dtype, device: torch.device, *, int8: bool = False
) -> None:
    """Raise ModelError, with what would fit, if the weights are larger than the free memory."""
    free = free_bytes(device)
    quick = quick_dtype(directory, device)
    needs = {
        "bfloat16": weight_bytes(directory, torch.bfloat16),
        INT8: weight_bytes(directory, quick, int8=True),
    }
    need = needs[INT8] if int8 else weight_bytes(directory, dtype)
    if free is None or need <= free:
        return
    smaller = {name: size for name, size in needs.items() if size < need and size <= free}
    name, size = max(smaller.items(), key=lambda item: item[1], default=("", 0))
    remedy = (
        f"--dtype {name} needs {size / _GB:.1f} GB"
        if name
        else f"a model of at most {free / _REST / _GB:.1f} billion numbers fits (--dtype {INT8}), "
        "or one that a server holds (--model URL#NAME)"
    )
    raise ModelError(
        f"{directory} needs {need / _GB:.1f} GB for its weights, and {free / _GB:.1f} GB are free "
        f"on {device}; {remedy}"
    )


def free_bytes(device: torch.device) -> int | None:
    """Bytes of memory that are free on a device; None where that cannot be known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, in whichever way torch says so."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)  # the processor's
