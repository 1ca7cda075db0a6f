"""Where `ragctx compare` takes passages from, and every combination of ways to find them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragctx.cli.compare_options import Asking, Prompting, Searching
from ragctx.cli.exit_codes import say
from ragctx.cli.progress import loading
from ragctx.cli.session import Sources, load_embedder, open_index
from ragctx.errors import InputError
from ragctx.text.wording import counted

if TYPE_CHECKING:
    from ragctx.assembly import Assembly
    from ragctx.embedding import Embedder
    from ragctx.evaluation.candidates import Source
    from ragctx.evaluation.datasets import QuestionSet
    from ragctx.evaluation.grid import Grid
    from ragctx.index.index import Index

SourceOf = Callable[[int | None, str, int], "Source"]
"""(size of chunks in tokens, name of a retriever, k) -> where candidates come from."""


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The indexes to search, by their size of chunks.

    `named` is the index whose chunks questions exclude: the one on the command line, or that of the
    default size; None where neither is there.
    """

    indexes: Mapping[int | None, Index]
    named: Index | None
    embedder: Embedder
    searching: Searching

    def source(self, chunk_tokens: int | None, retriever: str, k: int) -> Source:
        """The hits of one kind of search. Chunks that questions exclude are those of `named`."""
        from ragctx.evaluation.candidates import IndexPassages

        index = self.indexes[chunk_tokens]
        return IndexPassages(
            index,
            self.embedder,
            self.searching.retrieval(retriever, k),
            excluding=None if index is self.named else self.named,
        )


def source_of_all(
    questions: QuestionSet, sources: Sources | None, searching: Searching, most: int
) -> SourceOf:
    """What gives the candidates for a size of chunks, a retriever and a k.

    Without documents (`sources` is None) all are the passages of the file, of which up to `most`
    are needed.

    Raises InputError for an axis that passages of a file do not have.
    """
    from ragctx.evaluation.candidates import source_of

    if sources is not None:
        searched = _searched(sources, searching)
        _tell_unknown_exclusions(questions, searched)
        return searched.source
    for option, values in (
        ("--chunk-tokens", searching.chunk_tokens),
        ("--retriever", searching.retrievers[1:]),
    ):
        if values:
            raise InputError(
                f"{option} needs documents to search, and the passages of a question file are not "
                "searched for; name the index with --index, or PDFs after the question file"
            )
    passages = source_of(questions, most)
    return lambda chunk_tokens, retriever, k: passages


def _tell_unknown_exclusions(questions: QuestionSet, searched: Searched) -> None:
    """Say it where chunks that questions exclude are of an index that is not at hand."""
    excluding = sum(bool(question.excluded) for question in questions.questions)
    if excluding and searched.named is None:
        say(
            f"note: the exclusions of {counted(excluding, 'question')} name chunks of another "
            "size, which are not kept out; name the index the questions were made from with --index"
        )


def _searched(sources: Sources, searching: Searching) -> Searched:
    from ragctx.ingestion.settings import CHUNK_TOKENS

    with loading("the embedder"):
        embedder = load_embedder(sources)
    if not searching.chunk_tokens:
        index = open_index(sources, embedder)
        return Searched(indexes={None: index}, named=index, embedder=embedder, searching=searching)
    named = None if sources.pdfs else open_index(sources, embedder)
    if named is not None:
        sources = replace(sources, pdfs=tuple(source.path for source in named.sources()))
    indexes: dict[int | None, Index] = {
        size: open_index(replace(sources, chunk_tokens=size), embedder)
        for size in dict.fromkeys(searching.chunk_tokens)
    }
    named = named or indexes.get(CHUNK_TOKENS)
    return Searched(indexes=indexes, named=named, embedder=embedder, searching=searching)


def grid_of(
    source: SourceOf,
    searching: Searching,
    asking: Asking,
    prompting: Prompting,
    assembly: Assembly,
) -> Grid | None:
    """Every combination of the options that were given several values; None without any."""
    from ragctx.evaluation.grid import Grid, GridCell, combinations_of, condition_of
    from ragctx.evaluation.results import GridAxis

    choices: tuple[tuple[str, Sequence[object]], ...] = (
        ("chunk tokens", searching.chunk_tokens or (None,)),
        ("retriever", searching.retrievers),
        ("k", searching.ks),
        ("placement", asking.placements),
        ("budget tokens", prompting.budgets_tokens or (None,)),
    )
    axes = [
        GridAxis(name=name, values=tuple(map(str, dict.fromkeys(values))))
        for name, values in choices
    ]
    varied = [i for i, axis in enumerate(axes) if len(axis.values) > 1]
    if not varied:
        return None
    shown = [axes[i] for i in varied]
    cells = []
    for chunk_tokens, retriever, k, placement, budget in combinations_of(axes):
        combination = (chunk_tokens, retriever, k, placement, budget)
        values = tuple(combination[i] for i in varied)
        cells.append(
            GridCell(
                condition=condition_of(shown, values),
                values=values,
                source=source(_number(chunk_tokens), retriever, int(k)),
                k=int(k),
                assembly=replace(assembly, placement=placement, budget_tokens=_number(budget)),
            )
        )
    return Grid(axes=tuple(shown), cells=tuple(cells))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
