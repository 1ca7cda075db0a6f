"""Load a Hugging Face model's weights from a local directory, safely and without chatter.

Only safetensors are read (pickled weights can run code), no code in the directory is run unless it
is trusted, nothing is fetched from the network, and a model of which weights are missing is
refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from ragctx.errors import ModelError, require_extra
from ragctx.generator.huggingface.memory import INT8, is_out_of_memory
from ragctx.model_loading import unlogged

_LFS = b"version https://git-lfs"
_FETCHED = ("*.safetensors", "*.json", "tokenizer.model")


class CausalModel(Protocol):
    """The part of a transformers model that is used here."""

    config: Any
    device: torch.device
    dtype: torch.dtype
    forward: Callable[..., Any]
    get_input_embeddings: Callable[[], Any]
    parameters: Callable[[], Iterator[torch.Tensor]]

    def __call__(self, **arguments: object) -> Any:
        """Run the model: the result's `logits` has shape (1, tokens, vocabulary)."""


class Loaded(NamedTuple):
    """A model, and the names of weights that its files hold and it has no place for."""

    model: CausalModel
    unused: tuple[str, ...]


def check_directory(directory: Path) -> None:
    """Raise `ModelError` unless the directory can hold a causal model in safetensors files."""
    if not directory.is_dir():
        raise ModelError(f"{directory} is not a directory: give the folder of a Hugging Face model")
    if (directory / "adapter_config.json").exists():
        raise ModelError(
            f"{directory} holds an adapter, which would load another model by name: merge it into "
            "its base model (peft: merge_and_unload) and give the merged folder"
        )
    if not (directory / "config.json").is_file():
        raise ModelError(f"{directory} has no config.json: give the folder of a Hugging Face model")
    if _is_encoder(directory / "config.json"):
        raise ModelError(
            f"{directory} holds an encoder (as BERT is), which reads texts and writes none: give a "
            "causal language model, such as a Qwen or a Llama"
        )
    fetched = (path for pattern in _FETCHED for path in sorted(directory.glob(pattern)))
    pointer = next(filter(_is_pointer, fetched), None)
    if pointer is not None:
        raise ModelError(
            f"{pointer} is not the file but Git LFS's note of it: fetch it (git lfs pull, or hf "
            "download)"
        )
    _require_json(directory / "generation_config.json")
    _require_shards(directory)
    if any(directory.glob("*.safetensors")):
        return
    gguf = next(iter(sorted(directory.glob("*.gguf"))), None)
    if gguf is not None:
        raise ModelError(
            f"{directory} holds GGUF files, for llama.cpp: name one of them (--model {gguf})"
        )
    pickled = sorted(
        path.name for ending in ("*.bin", "*.pt", "*.pth") for path in directory.glob(ending)
    )
    if pickled:
        raise ModelError(
            f"{directory} has its weights only as pickle ({pickled[0]}), which can run code: "
            "convert them with model.save_pretrained(folder), which writes safetensors"
        )
    raise ModelError(
        f"{directory} has no weights: *.safetensors files are needed beside config.json"
    )


def _require_shards(directory: Path) -> None:
    """Raise ModelError unless the files that the index of weights names are beside it."""
    index = directory / "model.safetensors.index.json"
    if (directory / "model.safetensors").is_file() or not index.is_file():
        return
    table = _stated(index).get("weight_map")
    names = {str(name) for name in table.values()} if isinstance(table, dict) else set()
    for name in sorted(names):
        if Path(name).name != name or not (directory / name).is_file():
            raise ModelError(
                f"{directory} has no file {name!r}, which {index.name} names: copy the directory "
                "again, with all its safetensors files"
            )


def _require_json(file: Path) -> None:
    """Raise ModelError for a file that cannot be read. There need be none.

    transformers would pass over it, and over what it says of how answers end.
    """
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read ({error}); copy it again") from error


def _stated(config: Path) -> dict[str, Any]:
    """What a config states; nothing if it cannot be read, since transformers says why."""
    try:
        stated = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return stated if isinstance(stated, dict) else {}


def refuse_own_code(directory: Path) -> None:
    """Raise `ModelError`, with the risk, for a model that needs Python code of its own."""
    code = _own_code(directory / "config.json")
    if code:
        raise ModelError(
            f"{directory} needs Python code of its own ({code}), which could do on this machine "
            "whatever you can: read or delete files, send them away. Read that code first; if you "
            "trust it: --trust-remote-code (trust_remote_code=True)"
        )


def _is_pointer(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(_LFS)) == _LFS
    except OSError:
        return False  # loading says why


def _own_code(config: Path) -> str:
    """The module in the directory that holds a causal model's code; "" if it needs none."""
    table = _stated(config).get("auto_map")
    if not isinstance(table, dict):
        return ""
    named = table.get("AutoModelForCausalLM") or table.get("AutoModel") or table.get("AutoConfig")
    module = str(named[0] if isinstance(named, list) and named else named or "")
    name = module.rpartition("--")[2].partition(".")[0] + ".py"  # "repository--module.Class"
    return name if (config.parent / name).is_file() else ""


_ENCODERS = re.compile(
    r"bert(?!-decoder)|electra|ernie(?!4)|roformer|big_bird|data2vec-text|xmod|deberta"
)


def _is_encoder(config: Path) -> bool:
    """Whether a config is that of a model that reads both ways, and can be loaded all the same."""
    stated = _stated(config)
    is_encoder = _ENCODERS.search(str(stated.get("model_type", "")))
    return bool(is_encoder) and not stated.get("is_decoder")


def load_model(
    directory: Path,
    dtype: torch.dtype,
    device: torch.device,
    *,
    int8: bool = False,
    trust_remote_code: bool = False,
) -> Loaded:
    """Load the weights of a checked directory onto `device`. Raises as `load_huggingface` does."""
    options = {"quantization_config": _int8_config()} if int8 else {}
    with quiet_transformers():
        import transformers

        loader: Any = transformers.AutoModelForCausalLM
        model: CausalModel
        report: dict[str, Any]
        try:
            loaded, report = loader.from_pretrained(
                str(directory),
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                output_loading_info=True,
                **options,
            )
            model = loaded.to(device).eval()
        except Exception as error:  # transformers raises a dozen kinds, torch more
            if is_out_of_memory(error):
                raise ModelError(
                    f"memory ran out while {directory} was loaded onto {device}: take --dtype "
                    "bfloat16 or int8, or a smaller model"
                ) from error
            raise ModelError(_why_not(directory, error)) from error
    absent = sorted({str(key) for key in report["missing_keys"]} | _mismatched(report))
    if absent:
        raise ModelError(
            f"{directory} lacks {len(absent)} of the model's weights (first: {absent[0]}), which "
            "would be random numbers: copy the directory again, with all its safetensors files"
        )
    if int8 and not any(map(is_in_8_bits, model.parameters())):
        raise ModelError(
            f"{directory} has no layers that torchao could hold in 8 bits: leave --dtype {INT8} "
            "out, or take bfloat16"
        )
    # old files hold masks and frequencies too, which every model makes for itself now
    unused = sorted(
        name for name in map(str, report["unexpected_keys"]) if name.endswith(".weight")
    )
    return Loaded(model, tuple(unused))


def is_in_8_bits(weight: torch.Tensor) -> bool:
    """Whether a loaded weight is held in 8 bits."""
    return isinstance(getattr(weight, "qdata", None), torch.Tensor)


def stored_bytes(weight: torch.Tensor) -> int:
    """Bytes that a loaded weight takes; in 8 bits, scales included."""
    if not is_in_8_bits(weight):
        return weight.nbytes
    parts: Any = weight
    names, _ = parts.__tensor_flatten__()
    return sum(int(getattr(parts, name).nbytes) for name in names)


def _why_not(directory: Path, error: Exception) -> str:
    """What transformers found wrong, and what helps against that."""
    words = f"{directory} cannot be loaded as a causal language model"
    if "ignore_mismatched_sizes" in str(error) or "size mismatch for" in str(error):
        return (
            f"{words}: its weights have other shapes than its config.json states, so that one of "
            "them is another model's: copy both again from one place"
        )
    if "Unrecognized configuration class" in str(error):
        kind = _stated(directory / "config.json").get("model_type")
        return (
            f"{words}: it is a {kind}, and no model that goes on with a text: give one that does, "
            "such as a Qwen or a Llama"
        )
    remedy = "check that the download is complete and that transformers knows this model"
    if isinstance(error, ImportError):
        remedy = "install what that names, or take the same model with weights as they were trained"
    return f"{words}: {first_line(error)}; {remedy}"


def _int8_config() -> Any:
    """How transformers is told to hold the weights of linear layers in 8 bits."""
    # torchao, which transformers loads, tells of kernels it has no use for
    with unlogged(), require_extra("--dtype int8", "torchao", "'ragctx[int8]'"):
        from torchao.quantization import Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        config: Any = TorchAoConfig(Int8WeightOnlyConfig())
    return config


def _mismatched(report: dict[str, Any]) -> set[str]:
    """Names of weights whose shape is not the model's."""
    entries = report.get("mismatched_keys") or ()
    return {str(entry[0] if isinstance(entry, tuple) else entry) for entry in entries}


def first_line(error: Exception) -> str:
    """Another library's exception as one line: its type and the beginning of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    said = " ".join(lines[: 2 if lines[0].endswith(":") else 1])
    return f"{type(error).__name__}: {said.rstrip('. :')}"


_SAMPLE_BYTES = 2**20


def quick_identity(directory: Path) -> str:
    """A hash that changes when the weights or the configuration do, in milliseconds.

    Of files of many gigabytes it sees the size, the time of change, and both ends.
    """
    digest = hashlib.blake2b(digest_size=20)
    for path in sorted(directory.iterdir()):
        if path.suffix == ".safetensors" or path.name == "config.json":
            stat = path.stat()
            digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
            with path.open("rb") as stream:
                digest.update(stream.read(_SAMPLE_BYTES))
                stream.seek(max(0, stat.st_size - _SAMPLE_BYTES))
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence progress bars, warnings and reports of transformers; restore its settings after."""
    with warnings.catch_warnings(), unlogged():
        warnings.simplefilter("ignore")
        with require_extra("A Hugging Face model", "transformers", "'ragctx[hf]'"):
            import huggingface_hub.utils
            import transformers.utils.logging
        hub: Any = huggingface_hub.utils
        chatter: Any = transformers.utils.logging
        verbosity, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
        hub_silent = hub.are_progress_bars_disabled()
        chatter.set_verbosity_error()
        chatter.disable_progress_bar()
        try:
            yield
        finally:
            chatter.set_verbosity(verbosity)
            if bars:
                chatter.enable_progress_bar()
            if hub_silent:
                hub.disable_progress_bars()
