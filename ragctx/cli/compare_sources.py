"""Where `ragctx compare` takes passages from, and every combination of ways to find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from ragctx.cli.compare_options import Asking, Prompting, Searching
from ragctx.cli.exit_codes import say
from ragctx.cli.options import NO_RERANKER
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
    from ragctx.reranking import Reranker


class SourceOf(Protocol):
    """Where candidates come from, for one way to search."""

    def __call__(self, chunk_tokens: int | None, retriever: str, reranker: str, k: int) -> Source:
        """The source of k candidates; retriever and reranker by their names."""


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The indexes to search, by their size of chunks.

    `named` is the index whose chunks questions exclude: the one on the command line, or that of the
    default size; None where neither is there.
    """

    indexes: Mapping[int | None, Index]
    named: Index | None
    embedder: Embedder
    rerankers: Mapping[str, Reranker | None]
    searching: Searching

    def source(self, chunk_tokens: int | None, retriever: str, reranker: str, k: int) -> Source:
        """The hits of one kind of search. Chunks that questions exclude are those of `named`."""
        from ragctx.evaluation.candidates import IndexPassages

        index = self.indexes[chunk_tokens]
        return IndexPassages(
            index,
            self.embedder,
            self.searching.retrieval(retriever, self.rerankers[reranker], k),
            excluding=None if index is self.named else self.named,
        )


def source_of_all(
    questions: QuestionSet, sources: Sources | None, searching: Searching, most: int
) -> SourceOf:
    """What gives the candidates for a size of chunks, a retriever, a reranker and a k.

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
        ("--rerank", [name for name in searching.rerankers if name != NO_RERANKER]),
    ):
        if values:
            raise InputError(
                f"{option} needs documents to search, and the passages of a question file are not "
                "searched for; name the index with --index, or PDFs after the question file"
            )
    passages = source_of(questions, most)
    return lambda chunk_tokens, retriever, reranker, k: passages


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
    rerankers = _rerankers(searching.rerankers)

    def searched(indexes: Mapping[int | None, Index], named: Index | None) -> Searched:
        return Searched(
            indexes=indexes,
            named=named,
            embedder=embedder,
            rerankers=rerankers,
            searching=searching,
        )

    if not searching.chunk_tokens:
        index = open_index(sources, embedder)
        return searched({None: index}, index)
    named = None if sources.pdfs else open_index(sources, embedder)
    if named is not None:
        sources = replace(sources, pdfs=tuple(source.path for source in named.sources()))
    indexes: dict[int | None, Index] = {
        size: open_index(replace(sources, chunk_tokens=size), embedder)
        for size in dict.fromkeys(searching.chunk_tokens)
    }
    return searched(indexes, named or indexes.get(CHUNK_TOKENS))


def _rerankers(names: Sequence[str]) -> dict[str, Reranker | None]:
    """Each reranker by its name, loaded once however many combinations it is part of."""
    from ragctx.reranking import load_reranker

    if all(name == NO_RERANKER for name in names):
        return {NO_RERANKER: None}
    with loading("the reranker"):
        return {
            name: None if name == NO_RERANKER else load_reranker(name)
            for name in dict.fromkeys(names)
        }


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
        ("rerank", searching.rerankers),
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
    for combination in combinations_of(axes):
        chunk_tokens, retriever, reranker, k, placement, budget = combination
        values = tuple(combination[i] for i in varied)
        cells.append(
            GridCell(
                condition=condition_of(shown, values),
                values=values,
                source=source(_number(chunk_tokens), retriever, reranker, int(k)),
                k=int(k),
                assembly=replace(assembly, placement=placement, budget_tokens=_number(budget)),
            )
        )
    return Grid(axes=tuple(shown), cells=tuple(cells))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
