"""Time ragctx and the closest code of other packages: 1,000 candidates to a prompt of 32k tokens.

    python -m benchmarks.peers.assemble

Needs the packages; one that is not installed is skipped, which the table shows. LangChain's budget
is in langchain-classic and its reordering in langchain-community, so give them an environment of
their own, with ragctx beside them:

    python -m venv peers
    peers/bin/pip install . langchain-classic langchain-community llama-index-core haystack-ai
    peers/bin/python -m benchmarks.peers.assemble

Who does what, in one run and with one tokenizer:

- ragctx: counts header, text and labels; `fill` or `knapsack`; `edges`; segments of ids. "adapter"
  is what the adapters for the others run, `ragctx.adapters.fitting`: it tokenises the joined text
  once more, and most of its time is that.
- LangChain: `reduce_k_below_max_tokens` of RetrievalQAWithSourcesChain counts the texts alone and
  drops from the end; LongContextReorder; its stuff prompt with "Content: … Source: …".
- LlamaIndex: LongContextReorder; PromptHelper.repack joins all texts and splits them again, as its
  default synthesizer "compact" does; the first of the prompts that this makes (`prompts` is how
  many there are).
- Haystack: LostInTheMiddleRanker with its threshold in words, since it has none in tokens; the
  words here are one token each, which suits it; PromptBuilder.

Tokenising a candidate costs no package anything: its ids are known. What a package makes of several
texts it must tokenise itself. One thread does all the work, so CPU time is measured. "over" is how
many tokens more than the budget the finished prompt takes, counted in its text; "best" is the place
of the best candidate in it (1 is first).
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.assemble import MAX_NEW_TOKENS, QUESTION, make_hits, measure
from benchmarks.common import result, table
from ragctx import __version__
from ragctx.adapters.fitting import Fitting, Passage
from ragctx.placement.strategies import place
from ragctx.prompt.build import build_prompt, passage_costs
from ragctx.prompt.frame import room_for_passages
from ragctx.prompt.template import load_template
from ragctx.records import Hit
from ragctx.selection.selectors import Selector, fill, knapsack
from ragctx.tokens.load import load_tokenizer
from ragctx.tokens.tokenizer import Tokenizer

FRAME_TOKENS = 64  # taken off the budget of packages that do not count question and instructions


class KnowingTokenizer:
    """The bundled tokenizer with the ids of the candidates' texts worked out in advance."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._own: Any = load_tokenizer("bundled")
        self._known = {text: self._own.encode(text) for text in texts}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, known or not."""
        known = self._known.get(text)
        return self._own.encode(text) if known is None else known

    def count(self, text: str) -> int:
        """How many ids a text has."""
        return len(self.encode(text))


@dataclass(frozen=True)
class Task:
    """What every package is given."""

    hits: list[Hit]
    tokenizer: Any  # a Tokenizer, which every package may also use in its own way
    budget_tokens: int


@dataclass(frozen=True)
class FinishedPrompt:
    """A prompt's text; `prompts` is how many the package made, of which this is the first."""

    text: str
    prompts: int = 1


def ragctx_with(select: Selector) -> Callable[[Task], Callable[[], FinishedPrompt]]:
    """Costs, selection, placement, segments."""

    def prepare(task: Task) -> Callable[[], FinishedPrompt]:
        template, tokenizer = load_template("qa"), task.tokenizer
        limits: dict[str, Any] = {
            "context_window": task.budget_tokens + MAX_NEW_TOKENS,
            "max_new_tokens": MAX_NEW_TOKENS,
        }

        def run() -> FinishedPrompt:
            room = room_for_passages(template, QUESTION, tokenizer, **limits)
            costs = passage_costs(template, task.hits, tokenizer)
            placement = place(select(task.hits, costs, room))
            return FinishedPrompt(
                build_prompt(template, QUESTION, placement, tokenizer, **limits).text
            )

        return run

    return prepare


def ragctx_adapter(task: Task) -> Callable[[], FinishedPrompt]:
    """Selection and placement of plain texts, the joined text counted."""
    fitting = Fitting(tokenizer=task.tokenizer, budget_tokens=task.budget_tokens - FRAME_TOKENS)
    passages = [Passage(text=hit.chunk.text, score=hit.score) for hit in task.hits]

    def run() -> FinishedPrompt:
        order = fitting.order(passages)
        context = "\n\n".join(passages[i].text for i in order)
        return FinishedPrompt(f"{context}\n\nQuestion: {QUESTION}\nAnswer:")

    return run


def langchain(task: Task) -> Callable[[], FinishedPrompt]:
    """Its only token budget for documents, its reordering, its prompt."""
    from langchain_classic.chains import RetrievalQAWithSourcesChain
    from langchain_community.document_transformers import LongContextReorder
    from langchain_core.documents import Document
    from langchain_core.embeddings import FakeEmbeddings
    from langchain_core.language_models import FakeListLLM
    from langchain_core.vectorstores import InMemoryVectorStore, VectorStoreRetriever

    class Counting(FakeListLLM):
        def get_num_tokens(self, text: str) -> int:
            return int(task.tokenizer.count(text))

    chain = RetrievalQAWithSourcesChain.from_chain_type(
        Counting(responses=[""]),
        chain_type="stuff",
        retriever=VectorStoreRetriever(vectorstore=InMemoryVectorStore(FakeEmbeddings(size=1))),
        reduce_k_below_max_tokens=True,
        max_tokens_limit=task.budget_tokens - FRAME_TOKENS,
    )
    stuff: Any = chain.combine_documents_chain
    documents = [Document(hit.chunk.text, metadata={"source": hit.document}) for hit in task.hits]
    reorder = LongContextReorder()

    def run() -> FinishedPrompt:
        kept = reorder.transform_documents(chain._reduce_tokens_below_limit(documents))
        inputs = stuff._get_inputs(list(kept), question=QUESTION)
        prompts, _ = stuff.llm_chain.prep_prompts([inputs])
        return FinishedPrompt(prompts[0].to_string())

    return run


def llama_index(task: Task) -> Callable[[], FinishedPrompt]:
    """Its reordering, and the packing of its default synthesizer."""
    from llama_index.core.indices.prompt_helper import PromptHelper
    from llama_index.core.postprocessor import LongContextReorder
    from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT
    from llama_index.core.schema import MetadataMode, NodeWithScore, TextNode

    nodes = [
        NodeWithScore(node=TextNode(text=hit.chunk.text), score=hit.score) for hit in task.hits
    ]
    helper = PromptHelper(
        task.budget_tokens + MAX_NEW_TOKENS, MAX_NEW_TOKENS, tokenizer=task.tokenizer.encode
    )
    prompt = DEFAULT_TEXT_QA_PROMPT.partial_format(query_str=QUESTION)
    reorder = LongContextReorder()

    def run() -> FinishedPrompt:
        texts = [
            node.node.get_content(metadata_mode=MetadataMode.LLM)
            for node in reorder.postprocess_nodes(nodes)
        ]
        packed = helper.repack(prompt, texts)
        return FinishedPrompt(prompt.format(context_str=packed[0]), len(packed))

    return run


def haystack(task: Task) -> Callable[[], FinishedPrompt]:
    """Its reordering with a threshold in words, and a prompt template."""
    from haystack import Document
    from haystack.components.builders import PromptBuilder
    from haystack.components.rankers import LostInTheMiddleRanker

    documents = [
        Document(id=hit.chunk.id, content=hit.chunk.text, score=hit.score) for hit in task.hits
    ]
    ranker = LostInTheMiddleRanker(word_count_threshold=task.budget_tokens - FRAME_TOKENS)
    template = (
        "{% for document in documents %}{{ document.content }}\n\n{% endfor %}"
        "Question: {{ question }}\nAnswer:"
    )
    builder = PromptBuilder(template, required_variables=["documents", "question"])

    def run() -> FinishedPrompt:
        placed = ranker.run(documents=documents)["documents"]
        return FinishedPrompt(builder.run(documents=placed, question=QUESTION)["prompt"])

    return run


PEERS: dict[str, tuple[tuple[str, ...], Callable[[Task], Callable[[], FinishedPrompt]]]] = {
    "ragctx fill": ((), ragctx_with(fill)),
    "ragctx knapsack": ((), ragctx_with(knapsack)),
    "ragctx adapter": ((), ragctx_adapter),
    "LangChain": (("langchain-core", "langchain-classic", "langchain-community"), langchain),
    "LlamaIndex": (("llama-index-core",), llama_index),
    "Haystack": (("haystack-ai",), haystack),
}


def outcome(prompt: FinishedPrompt, task: Task, counter: Tokenizer) -> dict[str, Any]:
    """What is in the prompt. A passage counts if its whole text is there."""
    offsets = {hit.rank: prompt.text.find(hit.chunk.text) for hit in task.hits}
    order = sorted((rank for rank, at in offsets.items() if at >= 0), key=offsets.__getitem__)
    tokens = counter.count(prompt.text)
    return {
        "passages": len(order),
        "best": order.index(1) + 1 if 1 in order else None,
        "tokens": tokens,
        "over": max(0, tokens - task.budget_tokens),
        "prompts": prompt.prompts,
    }


def installed(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=256, help="tokens of a candidate, at most")
    parser.add_argument("--budget-tokens", type=int, default=32_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
    warnings.simplefilter("ignore")
    hits = make_hits(args.candidates, args.tokens, args.seed)
    tokenizer = KnowingTokenizer([hit.chunk.text for hit in hits])
    task = Task(hits, tokenizer, args.budget_tokens)
    rows: list[list[str]] = []
    results: dict[str, dict[str, object]] = {}
    for name, (packages, prepare) in PEERS.items():
        try:
            run = prepare(task)
        except ImportError as error:
            rows.append([name, "skipped", f"no {error.name}", *[""] * 4])
            results[name] = {"skipped": str(error)}
            continue
        prompt, cpu_ms = measure(run, args.repeats)
        facts = outcome(prompt, task, load_tokenizer("bundled"))
        rows.append([name, f"{cpu_ms['median']:.1f}", *facts.values()])
        results[name] = {"versions": installed(packages), "cpu_ms": cpu_ms, **facts}
    table(["", "CPU ms", "passages", "best", "tokens", "over", "prompts"], rows)
    result("assemble_peers", ragctx=__version__, **vars(args), results=results)


if __name__ == "__main__":
    main()
