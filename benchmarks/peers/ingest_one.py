"""Time one package: PDFs to an index on disk. Run by `benchmarks.peers.ingest`, in its environment.

    python -m benchmarks.peers.ingest_one langchain FOLDER PDF...

Every package gets its defaults, but for the size of passages, 180 tokens without overlap, and the
model, all-MiniLM-L6-v2 from the same files. The last line is JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHUNK_TOKENS = 180
WORDS = 135
"""Of a passage, for packages that do not count tokens: 180 tokens of English manuals."""
READ_TOKENS, SPECIAL_TOKENS = 256, 2
"""Tokens of a text that the model reads at most, and those of them that are put around it."""


def processor_s() -> float:
    """Processor seconds of this process, of all its threads, and of those that it has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass
class Measured:
    """Seconds of each stage, on the clock and of processors, and how much work it was."""

    stages_s: dict[str, float] = field(default_factory=dict)
    stages_cpu_s: dict[str, float] = field(default_factory=dict)
    pages: int = 0
    texts: list[str] = field(default_factory=list)  # what was embedded

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        clock, processor = time.perf_counter(), processor_s()
        yield
        self.stages_s[name] = time.perf_counter() - clock
        self.stages_cpu_s[name] = processor_s() - processor


def langchain(files: Sequence[str], model: str, folder: Path) -> Measured:
    """PyPDFium2Loader (the faster of its readers), RecursiveCharacterTextSplitter, FAISS."""
    from langchain_community.document_loaders import PyPDFium2Loader
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    from transformers import AutoTokenizer

    embedder = HuggingFaceEmbeddings(model_name=model)
    splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
        AutoTokenizer.from_pretrained(model), chunk_size=CHUNK_TOKENS, chunk_overlap=0
    )
    measured = Measured()
    with measured.stage("read"):
        pages = [page for file in files for page in PyPDFium2Loader(file).load()]
    with measured.stage("chunk"):
        passages = splitter.split_documents(pages)
    texts = [passage.page_content for passage in passages]
    with measured.stage("embed"):
        vectors = embedder.embed_documents(texts)
    with measured.stage("store"):
        metadata = [passage.metadata for passage in passages]
        pairs = list(zip(texts, vectors, strict=True))
        FAISS.from_embeddings(pairs, embedder, metadatas=metadata).save_local(str(folder))
    measured.pages, measured.texts = len(pages), texts
    return measured


def llama_index(files: Sequence[str], model: str, folder: Path) -> Measured:
    """PDFReader, SentenceSplitter, HuggingFaceEmbedding, VectorStoreIndex."""
    from llama_index.core import Settings, VectorStoreIndex
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import MetadataMode
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from llama_index.readers.file import PDFReader
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    embedder = HuggingFaceEmbedding(model_name=model)
    Settings.embed_model, Settings.llm = embedder, None
    splitter = SentenceSplitter(
        chunk_size=CHUNK_TOKENS, chunk_overlap=0, tokenizer=tokenizer.tokenize
    )
    measured = Measured()
    with measured.stage("read"):
        pages = [page for file in files for page in PDFReader().load_data(Path(file))]
    for page in pages:  # or they count as part of every passage
        page.excluded_embed_metadata_keys = page.excluded_llm_metadata_keys = list(page.metadata)
    with measured.stage("chunk"):
        nodes = splitter.get_nodes_from_documents(pages)
    texts = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
    with measured.stage("embed"):
        vectors = embedder.get_text_embedding_batch(texts)
    for node, vector in zip(nodes, vectors, strict=True):
        node.embedding = vector
    with measured.stage("store"):
        VectorStoreIndex(nodes).storage_context.persist(str(folder))
    measured.pages, measured.texts = len(pages), texts
    return measured


def haystack(files: Sequence[str], model: str, folder: Path) -> Measured:
    """PyPDFToDocument, DocumentSplitter by words, SentenceTransformersDocumentEmbedder."""
    from haystack.components.converters import PyPDFToDocument
    from haystack.components.preprocessors import DocumentSplitter
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack_integrations.components.embedders.sentence_transformers import (
        SentenceTransformersDocumentEmbedder,
    )

    embedder = SentenceTransformersDocumentEmbedder(model=model, progress_bar=False)
    embedder.warm_up()
    splitter = DocumentSplitter(split_by="word", split_length=WORDS, split_overlap=0)
    splitter.warm_up()
    measured = Measured()
    with measured.stage("read"):
        documents = PyPDFToDocument().run(sources=list(files))["documents"]
    with measured.stage("chunk"):
        passages = splitter.run(documents)["documents"]
    with measured.stage("embed"):
        embedded = embedder.run(passages)["documents"]
    with measured.stage("store"):
        store = InMemoryDocumentStore()
        store.write_documents(embedded)
        folder.mkdir(parents=True, exist_ok=True)
        store.save_to_disk(str(folder / "store.json"))
    measured.pages = sum((document.content or "").count("\f") + 1 for document in documents)
    measured.texts = [passage.content or "" for passage in passages]
    return measured


def ragctx(files: Sequence[str], model: str, folder: Path) -> Measured:
    """`ragctx.ingestion.ingest`, with the default embedder: the model in 8 bits."""
    return _ragctx(files, folder, "int8")


def ragctx_float32(files: Sequence[str], model: str, folder: Path) -> Measured:
    """The same with `--embedder float32`: the model as the others compute it."""
    return _ragctx(files, folder, "float32")


def _ragctx(files: Sequence[str], folder: Path, embedder_name: str) -> Measured:
    """The stages overlap, so only the whole is timed. A passage is embedded with its header."""
    from ragctx.embedding import load_embedder, text_tokens
    from ragctx.headers import fitted
    from ragctx.index.index import Index
    from ragctx.ingestion.run import ingest

    embedder = load_embedder(embedder_name)
    measured = Measured()
    with measured.stage("all"):
        rows = ingest(files, folder, embedder)
    index = Index.open(folder)
    ids = dict.fromkeys(source.document_id for source in index.sources())
    count, limit = embedder.tokenizer.count, text_tokens(embedder)
    measured.texts = [fitted(chunk, count, limit) for id_ in ids for chunk in index.chunks(id_)]
    measured.pages = sum(row.pages for row in rows)
    return measured


SYSTEMS: dict[str, Callable[[Sequence[str], str, Path], Measured]] = {
    "ragctx": ragctx,
    "ragctx_float32": ragctx_float32,
    "langchain": langchain,
    "llama_index": llama_index,
    "haystack": haystack,
}


def main() -> None:
    """Measure and print."""
    os.environ.update(HAYSTACK_TELEMETRY_ENABLED="False", TOKENIZERS_PARALLELISM="true")
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from ragctx.embedding import default_model_directory
    from ragctx.tokens.huggingface import HuggingFaceTokenizer

    name, folder, *files = sys.argv[1:]
    model = default_model_directory()
    began = time.perf_counter()
    measured = SYSTEMS[name](files, str(model), Path(folder))
    whole_s = time.perf_counter() - began
    tokenizer = HuggingFaceTokenizer(
        "all-MiniLM-L6-v2", (model / "tokenizer.json").read_text(encoding="utf-8")
    )
    lengths = [tokenizer.count(text) + SPECIAL_TOKENS for text in measured.texts]
    sys.stdout.write(
        json.dumps(
            {
                "name": name,
                "pages": measured.pages,
                "passages": len(measured.texts),
                "tokens": sum(min(length, READ_TOKENS) for length in lengths),
                "cut_off": sum(max(0, length - READ_TOKENS) for length in lengths),
                "stages_s": {stage: round(s, 3) for stage, s in measured.stages_s.items()},
                "ingest_s": round(sum(measured.stages_s.values()), 3),
                "start_s": round(whole_s - sum(measured.stages_s.values()), 3),
                "stages_cpu_s": {name: round(s, 3) for name, s in measured.stages_cpu_s.items()},
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
