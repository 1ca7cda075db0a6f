"""`ragctx plan`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ragctx.cli import options
from ragctx.cli.help import Command, examples
from ragctx.cli.output import console, write_json
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from pathlib import Path

    from ragctx.generator.huggingface.measure import Measured
    from ragctx.generator.huggingface.plan import Plan


@examples(
    "ragctx plan ~/models/qwen",
    "ragctx plan Qwen/Qwen3-0.6B --context 8000",
    "ragctx plan ~/models/qwen --dtype bfloat16 --json",
    "ragctx plan ~/models/qwen --measure",
)
@click.command("plan", cls=Command)
@click.argument("model", metavar="DIR|NAME")
@click.option(
    "--context",
    "context_tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tokens of prompt and answer to plan for; by default all that the model holds.",
)
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16", "int8"]),
    default="auto",
    show_default=True,
    help="Numbers of the model; auto: the weights' own, where they are quick here; int8: weights "
    "in 8 bits, as torchao holds them.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Load the model, and tell beside it what it really takes on this machine.",
)
@options.json_option
def plan_command(
    model: str, context_tokens: int | None, dtype: str, measure: bool, as_json: bool
) -> None:
    """Tell what a local model needs, before it is loaded.

    Weights, what each token keeps in the KV cache, how many tokens fit this machine, and what
    bounds them. Only its config and the headers of its files are read, unless it is measured.
    """
    from ragctx.generator.huggingface.hub import hub_name
    from ragctx.generator.huggingface.memory import (
        INT8,
        best_device,
        free_bytes,
        named_dtype,
        quick_dtype,
        read_numbers,
        weight_bytes,
        weight_numbers,
    )
    from ragctx.generator.huggingface.plan import plan_model
    from ragctx.generator.huggingface.shapes import layer_numbers
    from ragctx.generator.huggingface.weights import check_directory
    from ragctx.generator.load import model_directory

    directory = model_directory(model)
    check_directory(directory)
    device = best_device()
    quick = quick_dtype(directory, device)
    computed = str(quick).removeprefix("torch.") if dtype in ("auto", INT8) else dtype
    dtype = computed if dtype == "auto" else dtype
    plan = plan_model(
        directory,
        name=hub_name(directory) or directory.resolve().name,
        dtype=dtype,
        weights=weight_numbers(directory).total(),
        free_bytes=free_bytes(device),
        context_tokens=context_tokens,
        kv_dtype=computed,
        weights_bytes=weight_bytes(directory, named_dtype(computed), int8=dtype == INT8),
        read=read_numbers(directory),
        kept=layer_numbers(directory),
    )
    measured = _measured(directory, dtype, str(device)) if measure else None
    if as_json:
        write_json({**asdict(plan), "measured": asdict(measured) if measured else None})
        return
    lines = [*_lines(plan, str(device)), *(_measured_lines(measured) if measured else ())]
    for line in lines:
        console().print(line, soft_wrap=True, markup=False, highlight=False)


def _measured(directory: Path, dtype: str, device: str) -> Measured:
    from ragctx.cli.progress import loading
    from ragctx.generator.huggingface.load import load_huggingface
    from ragctx.generator.huggingface.measure import measure

    with loading("the model"):
        return measure(load_huggingface(directory, dtype=dtype, device=device))


def _measured_lines(measured: Measured) -> list[str]:
    kept = measured.kv_bytes_per_token
    return [
        f"  measured  weights {_size(measured.weights_bytes)}; KV cache "
        f"{'not kept' if kept is None else f'{_size(kept)} per token'}; prefill of "
        f"{measured.prompt_tokens} tokens {measured.prefill_tokens_per_s:,.0f} per second; each "
        f"new token {measured.step_s * 1e3:.1f} ms"
    ]


def _lines(plan: Plan, device: str) -> list[str]:
    """The plan for people."""
    kept = [
        counted(plan.growing_layers, "layer that grows", "layers that grow"),
        counted(plan.sliding_layers, "that slides", "that slide"),
        counted(plan.recurrent_layers, "that recurs", "that recur"),
    ]
    reused = plan.sliding_layers and plan.sliding_keeps_all
    all_kept = "; those that slide keep every token, to be reused" if reused else ""
    window = "not stated" if plan.window_tokens is None else f"{plan.window_tokens:,} tokens"
    free = "not known" if plan.free_bytes is None else f"{_size(plan.free_bytes)} free on {device}"
    fit = "" if plan.fitting_tokens is None else f"; {plan.fitting_tokens:,} tokens fit it"
    beside = "" if plan.kv_dtype == plan.dtype else f" (computed with in {plan.kv_dtype})"
    return [
        f"{plan.name}: {plan.weights / 1e9:.2f} billion numbers in {plan.dtype}{beside}",
        f"  weights   {_size(plan.weights_bytes)}",
        f"  KV cache  {_size(plan.kv_bytes_per_token)} per token ({plan.attention}; "
        f"{', '.join(kept)}{all_kept})",
        f"  window    {window} (RoPE {plan.rope}: {plan.beyond})",
        f"  memory    {free}{fit}",
        f"  context   {plan.context_tokens:,} tokens: bound by the {plan.binds}; "
        f"{_size(plan.kv_bytes)} of KV cache",
        f"  prefill   {plan.prefill_flops / 1e12:.2f} TFLOP; each new token reads "
        f"{_size(plan.step_bytes)}",
    ]


def _size(count: int) -> str:
    """Bytes in a unit that gives few digits."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} bytes"
