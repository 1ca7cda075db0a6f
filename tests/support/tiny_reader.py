"""A reader small enough to check by hand, and the slow reference for what it computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor

from ragctx.generator.reader.calibration import Calibration
from ragctx.generator.reader.reader import BundledReader
from training.graphs import runnable
from training.network import TorchNetwork
from training.rope import rotate
from training.transformer import Shape

TINY = Shape(layers=3, width=32, heads=4, feed_forward=48, vocabulary=60)
Tokens = tuple[int, ...]


def tiny_network(seed: int = 0, alone: int = 1) -> TorchNetwork:
    torch.manual_seed(seed)
    network = TorchNetwork(TINY, alone)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval().requires_grad_(False)


def tiny_reader(
    network: TorchNetwork, cached: type[np.floating[Any]] = np.float32
) -> BundledReader:
    return BundledReader(
        runnable(network, cached),
        None,  # type: ignore[arg-type]  # these tests need ids only
        name="tiny",
        context_window=512,
        threshold=0.0,
        calibration=Calibration((0.0, 1.0, *[0.0] * 8)),
    )


TORCH = tiny_network()
READER = tiny_reader(TORCH)
NETWORK = READER.network


def one_pass(
    passages: list[Tokens], question: Tokens, first: int = 0, answer: Tokens = ()
) -> list[Tensor]:
    """States (N, width) of every token of the prompt, before each layer and after the last one.

    Computed in torch, in one forward pass over the whole prompt, under the written-out mask.
    """
    lengths = [len(passage) for passage in passages]
    answer_start = sum(lengths) + len(question)
    total = answer_start + len(answer)
    visible = torch.zeros(total, total, dtype=torch.bool)
    at = 0
    for length in lengths:
        visible[at : at + length, at : at + length] = True
        at += length
    visible[at:, :] = True
    # [MASK], the question's last token, and the answer are seen from later positions only
    mask_at = answer_start - 1
    visible[at:, mask_at:] = torch.ones(total - at, total - mask_at).tril(at - mask_at) > 0
    ids = torch.tensor([[t for passage in passages for t in passage] + [*question, *answer]])
    cos, sin = TORCH.rotation(first + torch.arange(total))
    states = TORCH.embeddings(ids)
    before = [states[0]]
    for layer in TORCH.shared():
        q, k, v = layer.project(states)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        states = layer.finish(states, attended)
        before.append(states[0])
    return before


tokens = st.lists(st.integers(1, TINY.vocabulary - 1), min_size=2, max_size=12).map(tuple)
prompts = st.tuples(st.lists(tokens, min_size=1, max_size=5), tokens)
