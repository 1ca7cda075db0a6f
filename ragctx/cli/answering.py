"""The options of every command that answers questions: ask, serve and mcp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragctx.cli import options
from ragctx.cli.model_options import Model, model_options

if TYPE_CHECKING:
    from ragctx.assembly import Assembly
    from ragctx.index.address import IndexPlace
    from ragctx.retrieval import Retrieval


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Where to search, with which models, and how, as it was given."""

    index_path: IndexPlace
    embedder_spec: str
    password: str | None
    model: Model
    retrieval: options.RetrievalOptions
    assembly: options.AssemblyOptions

    def resolve(self) -> tuple[Retrieval, Assembly]:
        """How to search and assemble. Raises InputError for what cannot be."""
        assembly = self.assembly.resolve(self.retrieval.scale)
        return self.retrieval.resolve(), assembly


answering_options = options.gathered(
    "answering",
    Answering,
    (
        options.index_option,
        options.embedder_option,
        options.password_option,
        model_options,
        options.retrieval_options(k=5),
        options.assembly_options,
        options.prefer_cached_option,
    ),
)
"""--index, --embedder, --password, and those of models, retrieval and prompts: given to the command
as `answering`."""
