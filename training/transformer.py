"""The transformer layers that the default embedder and the bundled reader share, in plain torch.

This is what is trained, and what the graphs that ragctx runs (`training.graphs`) are held against.

BERT's post-layer-norm block (Devlin et al. 2019, arXiv 1810.04805), split into what comes before
and after attention, because the two models differ only in what happens in between: the embedder
attends within one text, the reader rotates keys and attends over cached passages too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of a model. The defaults are those of all-MiniLM-L6-v2."""

    layers: int = 6
    width: int = 384
    heads: int = 12
    feed_forward: int = 1536
    vocabulary: int = 30522
    epsilon: float = 1e-12

    @property
    def head_width(self) -> int:
        """Features of one attention head."""
        return self.width // self.heads


class Layer(nn.Module):
    """One block: `project` computes queries, keys and values, `finish` the rest after attention.

    `dropout` is the share of what a block adds to its states that is left out in training.
    """

    dropout = 0.0

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)
        self.output = nn.Linear(shape.width, shape.width)
        self.output_norm = nn.LayerNorm(shape.width, eps=shape.epsilon)
        self.up = nn.Linear(shape.width, shape.feed_forward)
        self.down = nn.Linear(shape.feed_forward, shape.width)
        self.down_norm = nn.LayerNorm(shape.width, eps=shape.epsilon)

    def project(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, width) -> queries, keys, values, each (B, heads, T, head_width)."""
        return self._split(self.query(states)), *self.keys_values(states)

    def keys_values(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, width) -> keys and values alone, each (B, heads, T, head_width)."""
        return self._split(self.key(states)), self._split(self.value(states))

    def finish(self, states: Tensor, attended: Tensor) -> Tensor:
        """Compute the next states (B, T, width) from `attended` (B, heads, T, head_width)."""
        merged = attended.transpose(1, 2).flatten(2)
        states = self.output_norm(states + self._dropped(self.output(merged)))
        added = self._dropped(self.down(F.gelu(self.up(states))))
        finished: Tensor = self.down_norm(states + added)
        return finished

    def _dropped(self, added: Tensor) -> Tensor:
        return F.dropout(added, self.dropout, self.training) if self.dropout else added

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None) -> Tensor:
    """Scaled dot-product attention; `visible` broadcasts to (B, heads, T, N), True where seen.

    Written out when gradients are needed, and for a single row: on CPUs the fused kernel's
    backward pass takes more than twice as long as the plain one's, and its forward pass for one
    row nearly twice (measured at these sizes, torch 2.13).
    """
    if not torch.is_grad_enabled() and q.shape[2] > 1:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if visible is not None:
        hidden = torch.zeros(visible.shape, dtype=scores.dtype, device=q.device)
        scores = scores + hidden.masked_fill(~visible, -1e9)
    attended: Tensor = scores.softmax(-1, dtype=scores.dtype) @ v
    return attended


class Embeddings(nn.Module):
    """Token embeddings and their norm; `positions` only where a model has absolute positions."""

    def __init__(self, shape: Shape, positions: int = 0) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(positions, shape.width) if positions else None
        self.norm = nn.LayerNorm(shape.width, eps=shape.epsilon)

    def forward(self, token_ids: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, width) states."""
        states: Tensor = self.tokens(token_ids)
        if self.positions is not None:
            states = states + self.positions.weight[: token_ids.shape[1]]
        normed: Tensor = self.norm(states)
        return normed


class Encoder(nn.Module):
    """A bidirectional encoder with absolute positions, as all-MiniLM-L6-v2 is one."""

    def __init__(self, shape: Shape, positions: int = 512) -> None:
        super().__init__()
        self.embeddings = Embeddings(shape, positions)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, token_ids: Tensor, mask: Tensor) -> Tensor:
        """Last hidden states (B, T, width). `mask` (B, T) is True where there is a token."""
        return self.all_states(token_ids, mask)[-1]

    def all_states(self, token_ids: Tensor, mask: Tensor) -> list[Tensor]:
        """The layers + 1 states (B, T, width): after the embeddings and after every layer."""
        states = [self.embeddings(token_ids)]
        visible = mask[:, None, None, :]
        for layer in self.layers:
            assert isinstance(layer, Layer)
            q, k, v = layer.project(states[-1])
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
            states.append(layer.finish(states[-1], attended))
        return states


class _NoFilling(TorchFunctionMode):
    """Skips the functions that initialise parameters."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def unfilled() -> Iterator[None]:
    """Create modules whose parameters have no values yet, to be assigned from a file.

    Initialising parameters on the meta device does nothing, and yet costs a second: it imports half
    of torch's compiler.
    """
    with torch.device("meta"), _NoFilling():
        yield


_BERT_NAMES = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "output",
    "attention.output.LayerNorm": "output_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "down_norm",
}


def bert_names(layers: int) -> dict[str, str]:
    """BERT's name of each parameter -> the name of `Encoder`'s; token types have none there."""
    names = {
        "embeddings.word_embeddings.weight": "embeddings.tokens.weight",
        "embeddings.position_embeddings.weight": "embeddings.positions.weight",
        "embeddings.LayerNorm.weight": "embeddings.norm.weight",
        "embeddings.LayerNorm.bias": "embeddings.norm.bias",
    }
    for i in range(layers):
        for theirs, ours in _BERT_NAMES.items():
            for part in ("weight", "bias"):
                names[f"encoder.layer.{i}.{theirs}.{part}"] = f"layers.{i}.{ours}.{part}"
    return names


def from_bert(weights: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """A state dict for `Encoder` from BERT's parameters.

    The embedding of token type 0, which every text has, is added to the token embeddings.
    """
    state = {ours: weights[theirs] for theirs, ours in bert_names(layers).items()}
    type_0 = weights["embeddings.token_type_embeddings.weight"][0]
    return {**state, "embeddings.tokens.weight": state["embeddings.tokens.weight"] + type_0}


def load_encoder(path: str, shape: Shape | None = None) -> Encoder:
    """The encoder whose weights are in the safetensors file at `path`, ready for inference."""
    from safetensors.torch import load_file

    shape = shape or Shape()
    weights = load_file(path)
    positions = weights["embeddings.position_embeddings.weight"].shape[0]
    with unfilled():
        encoder = Encoder(shape, positions)
    encoder.load_state_dict(from_bert(weights, shape.layers), assign=True)
    return encoder.eval()
