"""Stage 1: learned positions become RoPE. The student imitates the teacher after every layer.

No labels. The teacher is all-MiniLM-L6-v2; the student has its weights, no absolute positions, and
rotates its queries and keys. Loss: squared error between hidden states, layer by layer.

    python -m training.convert
"""

from __future__ import annotations

import random
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from ragctx.generator.network import ReaderNetwork
from ragctx.generator.rope import rotate
from ragctx.transformer import Layer, Shape, load_encoder
from training.common import (
    Config,
    Log,
    autocast,
    bundled_tokenizer,
    load_config,
    minilm_weights,
    run_folder,
    save_network,
)
from training.data import Passage, load_passages
from training.forward import passages_tensor


def student_states(network: ReaderNetwork, ids: Tensor, mask: Tensor) -> list[Tensor]:
    """The student's states after the embeddings and after every layer."""
    states = [network.embeddings(ids)]
    cos, sin = network.rotation(torch.arange(ids.shape[1]))
    for layer in network.layers:
        assert isinstance(layer, Layer)
        q, k, v = layer.project(states[-1])
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        states.append(layer.finish(states[-1], attended))
    return states


def fresh_network() -> ReaderNetwork:
    """A reader with MiniLM's weights and new heads: pointers begin as small identities."""
    teacher = load_encoder(str(minilm_weights()))
    network = ReaderNetwork(Shape())
    weights = {k: v for k, v in teacher.state_dict().items() if "positions" not in k}
    network.load_state_dict(weights, strict=False)
    with torch.no_grad():
        for head in (network.start, network.end):
            head.weight.copy_(torch.eye(head.weight.shape[0]) + 0.01 * head.weight)
            head.bias.zero_()
        network.end_given_start.weight.mul_(0.1)
        network.embeddings.norm.weight.requires_grad_(True)
    return network


def text_passages(config: Config) -> list[Passage]:
    """The training passages of every question set: text without labels."""
    tokenizer = bundled_tokenizer()
    passages: list[Passage] = []
    for name in config.answer["sets"]:
        path = config.questions / f"{name}.train.jsonl.gz"
        passages += load_passages(path, tokenizer, config.chunk_tokens, config.question_tokens)
    return passages


def main() -> None:
    """Run the stage and save the converted network."""
    config = load_config()
    settings = config.convert
    rng = random.Random(config.seed)
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    teacher, network = load_encoder(str(minilm_weights())), fresh_network()
    passages = text_passages(config)
    parameters = [
        p for n, p in network.named_parameters() if n.startswith("layers.") or "norm" in n
    ]
    optimizer = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=0.0)
    steps, log = settings["steps"], Log(run_folder(config) / "convert.jsonl")
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / 20) * max(0.02, 1 - s / steps)
    )
    began, seen = time.perf_counter(), 0
    for step in range(steps):
        chosen = rng.sample(passages, 200)
        start = rng.randrange(60)
        chosen = sorted(chosen, key=lambda p: len(p.token_ids))[start : start + 140]
        batch = rng.sample(chosen, 140)[: max(4, settings["tokens_per_step"] // 160)]
        ids, mask, _ = passages_tensor(batch)
        with torch.no_grad(), autocast():
            wanted = teacher.all_states(ids, mask)
        with autocast():
            given = student_states(network, ids, mask)
        pairs = zip(given[1:], wanted[1:], strict=True)
        loss = torch.stack([F.mse_loss(g.float()[mask], w.float()[mask]) for g, w in pairs]).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        seen += int(mask.sum())
        if step % 10 == 0 or step == steps - 1:
            cosine = F.cosine_similarity(given[-1].float()[mask], wanted[-1].float()[mask], dim=-1)
            log.write(
                step=step,
                loss=loss.item(),
                cosine=cosine.mean().item(),
                tokens=seen,
                seconds=time.perf_counter() - began,
            )
    save_network(network, run_folder(config) / "converted.safetensors")


if __name__ == "__main__":
    main()
