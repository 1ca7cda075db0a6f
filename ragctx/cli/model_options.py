"""The options that choose a model, and the position profile that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragctx.cli.exit_codes import say
from ragctx.cli.options import Command, gathered
from ragctx.cli.types import Setting
from ragctx.errors import InputError

if TYPE_CHECKING:
    from ragctx.assembly import Assembly
    from ragctx.evaluation.profiles import StoredProfile
    from ragctx.generator.decoding import Decoding
    from ragctx.generator.protocol import Generator


@dataclass(frozen=True, slots=True)
class Model:
    """The model that answers, and whose tokenizer counts if not its own."""

    spec: str
    tokenizer_spec: str | None
    kv_cache: Path | None = None
    template_options: tuple[tuple[str, object], ...] = ()
    server_options: tuple[tuple[str, object], ...] = ()
    certainty: Path | None = None
    dtype: str = "auto"
    device: str = "auto"
    grounded: bool = False
    reuse_passages: bool = False
    trust_remote_code: bool = False
    sample: bool = False
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    sampling_seed: int = 0
    stop: tuple[str, ...] = ()

    def load(self, context_window: int | None) -> Generator:
        """Load both. `context_window` is for served models, which do not report theirs."""
        from ragctx.generator.load import LocalOptions, load_generator
        from ragctx.tokens.load import load_tokenizer

        tokenizer = None if self.tokenizer_spec is None else load_tokenizer(self.tokenizer_spec)
        generator = load_generator(
            self.spec,
            tokenizer=tokenizer,
            context_window=context_window,
            kv_cache=self.kv_cache,
            template_options=dict(self.template_options) or None,
            server_options=dict(self.server_options) or None,
            decoding=self._decoding(),
            local=LocalOptions(
                dtype=self.dtype,
                device=self.device,
                grounded=self.grounded,
                reuse_passages=self.reuse_passages,
                trust_remote_code=self.trust_remote_code,
            ),
        )
        if self.certainty is not None:
            _trust(generator, self.certainty)
        tell_notes(generator)
        return generator

    def _decoding(self) -> Decoding:
        """How tokens are chosen: as given, and else as the model's makers do, if that is asked."""
        from ragctx.generator.decoding import Decoding
        from ragctx.generator.load import sampling_of

        asked = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        settings: dict[str, Any] = {**(sampling_of(self.spec) if self.sample else {}), **given}
        return Decoding(**settings, seed=self.sampling_seed, stop=self.stop)


def tell_notes(generator: Generator) -> None:
    """Print what a generator has to tell beside its answers, if anything."""
    from ragctx.generator.protocol import TellsNotes

    if isinstance(generator, TellsNotes):
        for note in generator.take_notes():
            say(note)


def _trust(generator: Generator, path: Path) -> None:
    from ragctx.evaluation.certainty import load_certainty
    from ragctx.generator.reader.reader import BundledReader

    if not isinstance(generator, BundledReader):
        raise InputError(
            f"--certainty is for the bundled reader, and {generator.name} answers here; leave out "
            "--certainty or --model"
        )
    generator.trust(load_certainty(path, generator.name).certainty())


def model_options(command: Command) -> Command:
    """--model and --tokenizer: given to the command as `model`."""
    options = (
        click.option(
            "--model",
            "spec",
            default="bundled",
            show_default=True,
            metavar="bundled|DIR|FILE.gguf|URL#NAME",
            help="Model that answers: the bundled reader, the directory of a "
            "Hugging Face causal language model or its name in the local cache "
            "(Qwen/Qwen3-0.6B), a GGUF file (an installed llama.cpp is started "
            "with it), or a model on a server that speaks the OpenAI protocol "
            "(its key: RAGCTX_API_KEY).",
        ),
        click.option(
            "--tokenizer",
            "tokenizer_spec",
            metavar="DIR|tiktoken:NAME",
            help="Tokenizer to count with, for a model without its own: needed for "
            "URL#NAME, unless its server counts.",
        ),
        click.option(
            "--kv-cache",
            "kv_cache",
            metavar="DIR",
            type=click.Path(file_okay=False, path_type=Path),
            help="Keep what a model here has read in this folder (1 GiB at most), so that it need "
            "not be read again: the bundled reader's passages (11 kB per token), or what prompts "
            "for a model directory begin with.",
        ),
        click.option(
            "--template-option",
            "template_options",
            multiple=True,
            type=Setting(),
            help="What the model's chat template is told, such as enable_thinking=false. May be "
            "repeated.",
        ),
        click.option(
            "--server-option",
            "server_options",
            multiple=True,
            type=Setting(),
            help="How a server is asked: limit_s=60 (seconds for one question), timeout_s=30 "
            "(without a byte), retries=5, header.X-Title=mine, or a field of the request such as "
            "seed=7. May be repeated.",
        ),
        click.option(
            "--certainty",
            "certainty",
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="How sure the bundled reader is on your documents, written by `ragctx calibrate`.",
        ),
    )
    return gathered("model", Model, (*options, *_LOCAL_OPTIONS, *_DECODING_OPTIONS))(command)


_LOCAL_OPTIONS = (
    click.option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16", "int8"]),
        default="auto",
        show_default=True,
        help="Numbers of a local model; auto: the weights' own, where they are quick here.",
    ),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda|mps",
        help="Where a local model runs; auto: the best there is.",
    ),
    click.option(
        "--grounded",
        is_flag=True,
        help="Let a model directory say only what passages say, in their own words, each statement "
        "with its source.",
    ),
    click.option(
        "--reuse-passages",
        is_flag=True,
        help="Let a model directory read each passage alone, once, and reuse it wherever it "
        "stands: quicker, and approximate.",
    ),
    click.option(
        "--trust-remote-code",
        is_flag=True,
        help="Run the Python code that a model directory brings, if it needs it. That code can do "
        "whatever you can: read it first.",
    ),
)
_DECODING_OPTIONS = (
    click.option(
        "--sample",
        is_flag=True,
        help="Draw the answer's tokens as the model's makers do (its generation_config.json); what "
        "is given beside it counts instead.",
    ),
    click.option(
        "--temperature",
        type=float,
        metavar="T",
        help="Above 0, draw the answer's tokens; by default the likeliest are taken.",
    ),
    click.option(
        "--top-p",
        type=float,
        metavar="P",
        help="Draw from the likeliest tokens that make up this share.",
    ),
    click.option("--top-k", type=int, metavar="K", help="Draw from the K likeliest tokens."),
    click.option(
        "--min-p",
        type=float,
        metavar="P",
        help="Draw from tokens with at least this share of the likeliest one's probability.",
    ),
    click.option(
        "--sampling-seed",
        type=int,
        default=0,
        metavar="N",
        help="Another seed draws another answer.",
    ),
    click.option(
        "--stop",
        multiple=True,
        metavar="TEXT",
        help="End the answer before this text. May be repeated.",
    ),
)


def writer_in(generator: Generator) -> Generator | None:
    """The model, if it writes; None for the bundled reader, which only copies."""
    from ragctx.generator.reader.reader import BundledReader

    return None if isinstance(generator, BundledReader) else generator


def own_profile(model: Model, generator: Generator) -> StoredProfile | None:
    """The profile that `ragctx probe` stored for this model."""
    from ragctx.evaluation.model_identity import model_hash
    from ragctx.evaluation.profiles import find_profile

    return find_profile(model_hash(model.spec, generator))


def with_profile(assembly: Assembly, model: Model, generator: Generator) -> Assembly:
    """The assembly with the model's own profile, if the placement is "calibrated" and has none.

    Without a significant profile the placement is "edges"; a line on standard error tells why.
    """
    if assembly.placement != "calibrated":
        return assembly
    if assembly.profile is None:
        found = own_profile(model, generator)
        if found is None:
            say(
                f"placement: edges instead of calibrated, since {generator.name} has no position "
                f"profile; measure one: ragctx probe --model {model.spec}"
            )
            return assembly
        assembly = replace(assembly, profile=found.for_placement())
    if assembly.profile is not None and not assembly.profile.significant:
        say(
            f"placement: edges instead of calibrated, since in the profile of "
            f"{assembly.profile.model} the positions do not differ measurably"
        )
    return assembly
