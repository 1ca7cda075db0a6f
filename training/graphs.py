"""The graphs that ONNX Runtime runs: written here by hand, shipped in ragctx/graphs.

    python -m training.graphs                    # writes them and graphs.json

The weights keep the names that they have in their files. What the graphs compute is told by the
same networks in torch, `training.transformer` and `training.network`; tests hold both together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ragctx.generator.reader.network import ALONE, Architecture, ReaderGraphs, ReaderNetwork
from ragctx.runtime import FOLDER, GRAPHS, Graph
from training.graph_builder import EightBitBuilder, GraphBuilder, LayerNames, WrittenGraph
from training.network import TorchNetwork
from training.transformer import Shape


def embedder_graph(shape: Shape) -> WrittenGraph:
    """`embeddings` (T, width) of one text's tokens -> `vector` (width,) of length 1.

    The embeddings are looked up outside: of that table, half of the file, a run needs a few rows,
    and ONNX Runtime would read all of it. Weights are called as in BERT's files. A text runs alone,
    without padding: so its vector depends on nothing else.
    """
    return _embedder(GraphBuilder(shape), "embedder")


def embedder_8bit_graph(shape: Shape) -> WrittenGraph:
    """As `embedder_graph`, with the linear layers in 8 bits.

    Values are computed in float32: rounding them would more than double all that rounding costs
    (1 - cosine to float32: 0.0007 without, 0.0018 with), and they are a twelfth of the work.
    """
    values = frozenset(bert_layer(i).value for i in range(shape.layers))
    return _embedder(EightBitBuilder(shape, values), "embedder_8bit")


def _embedder(graph: GraphBuilder, name: str) -> WrittenGraph:
    shape, width = graph.shape, graph.shape.width
    embeddings = graph.input("embeddings", TensorProto.FLOAT, "T", width)
    states = graph.norm(embeddings, "embeddings.LayerNorm")
    for i in range(shape.layers):
        names = bert_layer(i)
        queries, keys, values = (
            graph.projected(states, name) for name in (names.query, names.key, names.value)
        )
        weights = graph.op("Softmax", graph.scores(queries, keys), axis=-1)
        attended = graph.op("MatMul", weights, values)
        states = graph.finish(states, attended, names, shape.feed_forward)
    mean = graph.op("ReduceMean", states, graph.constant(0), keepdims=0)
    graph.output(graph.op("LpNormalization", mean, axis=0, p=2), "vector", width)
    return graph.written(name)


def reader_first_graph(
    shape: Shape, alone: int = ALONE, cached: int = TensorProto.FLOAT16
) -> WrittenGraph:
    """All but the last layer of the reader's first pass: T new tokens over N cached positions.

    Nothing need be cached: then it reads a passage, and the last layer has only keys and values.
    Inputs: `embeddings` (T, width), and those of `_Attention` for every layer but the last.
    Outputs: `states.i` (T, width) before layer i, from `alone` on; `keys.i`, `values.i` (heads, T,
    head_width) of the new tokens in every layer, in the precision of the cache.
    """
    graph, width = GraphBuilder(shape), shape.width
    embeddings = graph.input("embeddings", TensorProto.FLOAT, "T", width)
    attention = _Attention(graph, cached=cached)
    states, last = graph.norm(embeddings, "embeddings.norm"), shape.layers - 1
    for i in range(shape.layers):
        if i >= alone:
            graph.output(states, f"states.{i}", "T", width)
        keys, values = attention.keys_values(states, i)
        for kind, part in (("keys", keys), ("values", values)):
            graph.output(part, f"{kind}.{i}", shape.heads, "T", shape.head_width, kind=cached)
        if i != last:
            states = attention.next_states(states, keys, values, i)
    return graph.written("reader_first")


def reader_last_graph(shape: Shape, cached: int = TensorProto.FLOAT16) -> WrittenGraph:
    """The last layer of the reader's first pass, which passages do not need.

    Inputs: `before` (T, width), the states before it, and those of `_Attention`.
    Output: `after` (T, width).
    """
    graph, last = GraphBuilder(shape), shape.layers - 1
    states = graph.input("before", TensorProto.FLOAT, "T", shape.width)
    attention = _Attention(graph, cached=cached)
    after = attention.next_states(states, *attention.keys_values(states, last), last)
    graph.output(after, "after", "T", shape.width)
    return graph.written("reader_last")


class _Attention:
    """The first pass's layers: T new tokens see N cached positions and each other.

    Inputs of the graph, rotations with head_width / 2 columns each: `cos`, `sin` (T), of each token
    within its segment; `at_cos`, `at_sin` (T), within the prompt; `start_cos`, `start_sin` (N), of
    the start of each cached position's segment; `bias` (T, T), added to the attention scores among
    new tokens; `cached_keys.i`, `cached_values.i` (heads, N, head_width) for each layer.
    """

    def __init__(self, graph: GraphBuilder, *, cached: int) -> None:
        self.graph, self.cached = graph, cached
        self.own = self._rotation("", "T")
        self.at = self._rotation("at_", "T")
        self.starts = self._rotation("start_", "N")
        self.bias = graph.input("bias", TensorProto.FLOAT, "T", "T")
        self.sizes = [graph.rows_of(rows) for rows in (self.starts[0], self.own[0])]

    def keys_values(self, states: str, i: int) -> tuple[str, str]:
        """Keys, rotated within their segment, and values of new tokens in layer i."""
        names = reader_layer(f"layers.{i}")
        keys = self.graph.rotated(self.graph.projected(states, names.key), *self.own)
        return keys, self.graph.projected(states, names.value)

    def next_states(self, states: str, keys: str, values: str, i: int) -> str:
        """The states after layer i."""
        graph, names = self.graph, reader_layer(f"layers.{i}")
        queries = graph.projected(states, names.query)
        cached_keys = graph.rotated(self._from_cache("keys", i), *self.starts)
        # cached and new ones apart: to put them side by side would copy the cache
        to_cached = graph.scores(graph.rotated(queries, *self.at), cached_keys)
        to_new = graph.op("Add", graph.scores(graph.rotated(queries, *self.own), keys), self.bias)
        both = graph.op("Softmax", graph.op("Concat", to_cached, to_new, axis=-1), axis=-1)
        on_cached, on_new = graph.split(both, self.sizes)
        attended = graph.op(
            "Add",
            graph.op("MatMul", on_cached, self._from_cache("values", i)),
            graph.op("MatMul", on_new, values),
        )
        return graph.finish(states, attended, names, graph.shape.feed_forward)

    def _from_cache(self, kind: str, i: int) -> str:
        shape = self.graph.shape
        name = f"cached_{kind}.{i}"
        cached = self.graph.input(name, self.cached, shape.heads, "N", shape.head_width)
        return self.graph.op("Cast", cached, to=TensorProto.FLOAT)

    def _rotation(self, name: str, rows: str) -> list[str]:
        half = self.graph.shape.head_width // 2
        kinds = ("cos", "sin")
        return [self.graph.input(f"{name}{k}", TensorProto.FLOAT, rows, half) for k in kinds]


def reader_second_graph(shape: Shape, alone: int = ALONE) -> WrittenGraph:
    """The reader's second pass: a passage of T tokens that sees a question of Q.

    Inputs: `passage` (T, width), its states before layer `alone`; `question.i` (Q, width), the
    question's before the pass's i-th layer; `cos`, `sin` (T + Q, head_width / 2), the rotations of
    the passage and then of the question.
    Output: `states` (T, width).
    """
    graph, width, half = GraphBuilder(shape), shape.width, shape.head_width // 2
    states = passage = graph.input("passage", TensorProto.FLOAT, "T", width)
    cos, sin = (graph.input(name, TensorProto.FLOAT, "T + Q", half) for name in ("cos", "sin"))
    own = [graph.first_rows(rows, passage) for rows in (cos, sin)]
    shared = [(f"layers.{i}", shape.feed_forward) for i in range(alone, shape.layers)]
    layers = [*shared, ("second", shape.feed_forward // 2)]
    for i, (layer, feed_forward) in enumerate(layers):
        names = reader_layer(layer)
        question = graph.input(f"question.{i}", TensorProto.FLOAT, "Q", width)
        both = graph.op("Concat", states, question, axis=0)
        queries = graph.rotated(graph.projected(states, names.query), *own)
        keys = graph.rotated(graph.projected(both, names.key), cos, sin)
        values = graph.projected(both, names.value)
        weights = graph.op("Softmax", graph.scores(queries, keys), axis=-1)
        attended = graph.op("MatMul", weights, values)
        states = graph.finish(states, attended, names, feed_forward)
    graph.output(states, "states", "T", width)
    return graph.written("reader_second")


def reader_layer(layer: str) -> LayerNames:
    """The names of the weights of one of the reader's layers."""
    return LayerNames(**{field.name: f"{layer}.{field.name}" for field in fields(LayerNames)})


def bert_layer(i: int) -> LayerNames:
    """The names in BERT's files of the weights of layer `i`."""
    layer = f"encoder.layer.{i}"
    return LayerNames(
        query=f"{layer}.attention.self.query",
        key=f"{layer}.attention.self.key",
        value=f"{layer}.attention.self.value",
        output=f"{layer}.attention.output.dense",
        output_norm=f"{layer}.attention.output.LayerNorm",
        up=f"{layer}.intermediate.dense",
        down=f"{layer}.output.dense",
        down_norm=f"{layer}.output.LayerNorm",
    )


def runnable(network: TorchNetwork, cached: type[np.floating[Any]] = np.float16) -> ReaderNetwork:
    """A network in torch as graphs with the same weights; passages are kept as `cached`."""
    shape, kind = network.shape, helper.np_dtype_to_tensor_dtype(np.dtype(cached))
    written = (
        reader_first_graph(shape, network.alone, kind),
        reader_last_graph(shape, kind),
        reader_second_graph(shape, network.alone),
    )
    weights = arrays_of(network)
    graphs = ReaderGraphs(
        *(
            Graph(graph.content, {name: weights[name] for name in graph.weights})
            for graph in written
        )
    )
    architecture = Architecture(
        layers=shape.layers,
        alone=network.alone,
        heads=shape.heads,
        head_width=shape.head_width,
        epsilon=shape.epsilon,
        cached=cached,
    )
    return ReaderNetwork(graphs, weights, architecture)


def arrays_of(network: TorchNetwork) -> dict[str, NDArray[np.float32]]:
    """The weights of a network in torch, by name."""
    return {
        name: tensor.detach().float().cpu().contiguous().numpy()
        for name, tensor in network.state_dict().items()
    }


def write(folder: Path) -> None:
    """Write every graph, and what `ragctx.runtime` must know of each."""
    shape = Shape()
    graphs = {
        "embedder": embedder_graph(shape),
        "embedder_8bit": embedder_8bit_graph(shape),
        "reader_first": reader_first_graph(shape),
        "reader_last": reader_last_graph(shape),
        "reader_second": reader_second_graph(shape),
    }
    folder.mkdir(parents=True, exist_ok=True)
    about = {}
    for name, graph in graphs.items():
        (folder / f"{name}.onnx").write_bytes(graph.content)
        digest = hashlib.sha256(graph.content).hexdigest()
        about[name] = {"sha256": digest, "weights": graph.weights}
    (folder / GRAPHS).write_text(json.dumps(about, indent=1) + "\n", "utf-8")


def main() -> None:
    """Write the graphs where the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
