"""Stage 1: learned positions become RoPE. The student imitates the teacher after every layer.

No labels. The teacher is all-MiniLM-L6-v2; the student has its weights, no absolute positions, and
rotates its queries and keys. Loss: squared error between hidden states, layer by layer.

    python -m training.convert
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from training.common import (
    Config,
    Log,
    autocast,
    bundled_tokenizer,
    configured,
    load_checkpoint,
    minilm_weights,
    prepare,
    run_folder,
    save_checkpoint,
    save_network,
    stage_parser,
)
from training.data import Passage, load_passages
from training.forward import passages_tensor
from training.network import TorchNetwork
from training.rope import rotate
from training.transformer import Encoder, Layer, Shape, load_encoder


def student_states(network: TorchNetwork, ids: Tensor, mask: Tensor) -> list[Tensor]:
    """The student's states after the embeddings and after every layer."""
    states = [network.embeddings(ids)]
    cos, sin = network.rotation(torch.arange(ids.shape[1], device=ids.device))
    for layer in network.layers:
        assert isinstance(layer, Layer)
        q, k, v = layer.project(states[-1])
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        states.append(layer.finish(states[-1], attended))
    return states


def fresh_network() -> TorchNetwork:
    """A reader with MiniLM's weights and new heads, whose pointers start close to the identity."""
    teacher = load_encoder(str(minilm_weights()))
    network = TorchNetwork(Shape())
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


def sample_passages(passages: Sequence[Passage], tokens: int, rng: random.Random) -> list[Passage]:
    """Draw passages of similar length, about `tokens` tokens in all."""
    # 140 neighbours among 200 sorted by length; 160 tokens is about their mean: chosen by hand
    some = sorted(rng.sample(passages, min(200, len(passages))), key=lambda p: len(p.token_ids))
    begin = rng.randrange(60)
    similar = some[begin : begin + 140] or some
    return rng.sample(similar, min(len(similar), max(4, tokens // 160)))


def imitate(
    network: TorchNetwork, teacher: Encoder, ids: Tensor, mask: Tensor
) -> tuple[Tensor, float]:
    """Return the squared error summed over all layers, and the mean cosine after the last one."""
    with torch.no_grad(), autocast(ids.device):
        target = teacher.all_states(ids, mask)
    with autocast(ids.device):
        student = student_states(network, ids, mask)
    pairs = zip(student[1:], target[1:], strict=True)
    loss = torch.stack([F.mse_loss(g.float()[mask], w.float()[mask]) for g, w in pairs]).sum()
    cosine = F.cosine_similarity(student[-1].float()[mask], target[-1].float()[mask], dim=-1)
    return loss, cosine.mean().item()


def run(config: Config) -> None:
    """Run or resume the stage and save the converted network."""
    device, folder, settings = prepare(config), run_folder(config), config.convert
    teacher, network = load_encoder(str(minilm_weights())).to(device), fresh_network().to(device)
    passages, steps = text_passages(config), settings["steps"]
    parameters = [
        p for n, p in network.named_parameters() if n.startswith("layers.") or "norm" in n
    ]
    optimizer = torch.optim.AdamW(parameters, lr=settings["learning_rate"], weight_decay=0.0)
    checkpoint = folder / "convert.pt"
    done, seen, spent_s = 0, 0, 0.0
    if saved := load_checkpoint(checkpoint, device):
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        done, seen, spent_s = saved["done"], saved["seen"], saved["spent_s"]
    log, began = Log(folder / "convert.jsonl", done), time.perf_counter() - spent_s
    for step in range(done, steps):
        rng = random.Random(f"{config.seed}:{step}")
        ids, mask, _ = passages_tensor(sample_passages(passages, settings["tokens_per_step"], rng))
        factor = min(1.0, (step + 1) / 20) * max(0.02, 1 - step / steps)
        optimizer.param_groups[0]["lr"] = settings["learning_rate"] * factor
        loss, cosine = imitate(network, teacher, ids.to(device), mask.to(device))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        seen, spent_s = seen + int(mask.sum()), time.perf_counter() - began
        if (step + 1) % 10 == 0 or step == steps - 1:
            log.write(step=step + 1, loss=loss.item(), cosine=cosine, tokens=seen, seconds=spent_s)
        if (step + 1) % settings["checkpoint_every"] == 0:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            where = {"done": step + 1, "seen": seen, "spent_s": spent_s}
            save_checkpoint(checkpoint, {**state, **where})
    save_network(network, folder / "converted.safetensors")
    checkpoint.unlink(missing_ok=True)


def main() -> None:
    """Run or resume the stage as the command line asks."""
    run(configured(stage_parser(__doc__).parse_args()))


if __name__ == "__main__":
    main()
