"""The graphs that ONNX Runtime runs: written here by hand, shipped in ragctx/graphs.

    python -m training.graphs                    # writes them and graphs.json

The weights keep the names that they have in their files. What the graphs compute is told by the
same networks in torch, `training.transformer` and `training.network`; tests hold both together.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from onnx import TensorProto

from ragctx.runtime import FOLDER, GRAPHS
from training.graph_builder import GraphBuilder, LayerNames, WrittenGraph
from training.transformer import Shape


def embedder_graph(shape: Shape) -> WrittenGraph:
    """`embeddings` (T, width) of one text's tokens -> `vector` (width,) of length 1.

    The embeddings are looked up outside: of that table, half of the file, a run needs a few rows,
    and ONNX Runtime would read all of it. Weights are called as in BERT's files. A text runs alone,
    without padding: so its vector depends on nothing else.
    """
    graph, width = GraphBuilder(shape), shape.width
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
    return graph.written("embedder")


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


def write(folder: Path) -> None:
    """Write every graph, and what `ragctx.runtime` must know of each."""
    graphs = {"embedder": embedder_graph(Shape())}
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
