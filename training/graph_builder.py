"""Writes ONNX graphs node by node, with the layers that the embedder and the reader share.

A graph holds the order of operations and the names and shapes of the weights, not the weights: they
are given to ONNX Runtime when it loads the graph (`ragctx.runtime`). So a graph is a few kilobytes,
several graphs can share one file of weights, and no weight ships twice. Operations of ONNX
Runtime's own domain stand where they save a pass over memory; nothing is left to be optimised when
a graph is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ragctx.eight_bits import GELU_BELOW_ZERO
from training.transformer import Shape

OPSET, FUSED_OPSET, IR_VERSION = 18, 1, 8
"""Versions that ONNX Runtime has understood since 1.14 (2023)."""
Attribute = int | float | list[int]

FUSED = "com.microsoft"
"""The domain of ONNX Runtime's fused operations."""

_ZERO = 128
"""The unsigned byte that stands for 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenGraph:
    """A graph's file, and the names of the weights that it must be given."""

    content: bytes
    weights: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNames:
    """What the weights of one transformer layer are called in their file, without ".weight"."""

    query: str
    key: str
    value: str
    output: str
    output_norm: str
    up: str
    down: str
    down_norm: str


class GraphBuilder:
    """A graph being written. Values are the names of tensors; every method returns new ones."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, TensorProto] = {}
        self._constants: dict[str, TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    # ---- values ----------------------------------------------------------------------------------

    def input(self, name: str, kind: int, *sizes: int | str) -> str:
        """An input; a size is a number, or the name of a number that may differ from run to run."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, sizes))
        return name

    def output(
        self, value: str, name: str, *sizes: int | str, kind: int = TensorProto.FLOAT
    ) -> None:
        """Give a float32 value out under `name`, as numbers of `kind`."""
        self._nodes.append(helper.make_node("Cast", [value], [name], to=kind))
        self._outputs.append(helper.make_tensor_value_info(name, kind, sizes))

    def weight(self, name: str, *sizes: int, kind: int = TensorProto.FLOAT) -> str:
        """A weight, whose numbers are given when the graph is loaded."""
        if name not in self._weights:
            tensor = TensorProto(name=name, data_type=kind, dims=sizes)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="given when loaded")
            self._weights[name] = tensor
        return name

    def constant(self, *values: int) -> str:
        """A list of whole numbers."""
        name = "constant " + " ".join(map(str, values))
        array: NDArray[np.int64] = np.array(values, dtype=np.int64)
        self._constants.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def number(self, value: float, kind: type[np.generic] = np.float32) -> str:
        """A single number."""
        name = f"number {value:g} {kind.__name__}"
        array = np.array(value, dtype=kind)
        self._constants.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """The first output of a standard operation."""
        return self._node(kind, inputs, "", attributes)

    def fused(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """The first output of one of ONNX Runtime's own operations."""
        return self._node(kind, inputs, FUSED, attributes)

    def written(self, name: str) -> WrittenGraph:
        """The finished graph."""
        initializers = [*self._weights.values(), *self._constants.values()]
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, initializers)
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, FUSED_OPSET)]
        made = helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)
        content = made.SerializeToString(deterministic=True)
        return WrittenGraph(content=content, weights=tuple(self._weights))

    def _node(
        self, kind: str, inputs: Sequence[str], domain: str, attributes: Mapping[str, Attribute]
    ) -> str:
        result = f"{len(self._nodes)} {kind}"
        self._nodes.append(
            helper.make_node(kind, list(inputs), [result], domain=domain, **attributes)  # type: ignore[arg-type]
        )
        return result

    # ---- layers ----------------------------------------------------------------------------------

    def linear(self, states: str, name: str, outputs: int, inputs: int) -> str:
        """(T, inputs) -> (T, outputs), by the weight `name`, stored as (outputs, inputs)."""
        weight, bias = self.weight(f"{name}.weight", outputs, inputs), f"{name}.bias"
        return self.op("Gemm", states, weight, self.weight(bias, outputs), transB=1)

    def projected(self, states: str, name: str) -> str:
        """(T, width) -> (heads, T, head_width)."""
        width = self.shape.width
        return self.by_head(self.linear(states, name, width, width))

    def by_head(self, states: str) -> str:
        """(T, width) -> (heads, T, head_width)."""
        split = self.constant(0, self.shape.heads, self.shape.head_width)
        return self.op("Transpose", self.op("Reshape", states, split), perm=[1, 0, 2])

    def norm(self, states: str, name: str) -> str:
        """Layer normalisation."""
        return self.op(
            "LayerNormalization",
            states,
            self.weight(f"{name}.weight", self.shape.width),
            self.weight(f"{name}.bias", self.shape.width),
            epsilon=self.shape.epsilon,
        )

    def scores(self, queries: str, keys: str) -> str:
        """(heads, T, head_width), (heads, N, head_width) -> (heads, T, N), scaled."""
        scale = self.shape.head_width**-0.5
        return self.fused("FusedMatMul", queries, keys, transB=1, alpha=scale)

    def rotated(self, vectors: str, cos: str, sin: str) -> str:
        """(heads, T, head_width), turned by the angles of each token: rotary positions."""
        batch = self.op("Unsqueeze", vectors, self.constant(0))
        turned = self.fused("RotaryEmbedding", batch, self.constant(0), cos, sin)
        return self.op("Squeeze", turned, self.constant(0))

    def split(self, scores: str, sizes: Sequence[str]) -> tuple[str, str]:
        """The first and the other columns, as many as the two `sizes` say."""
        first = self.op("Split", scores, self.op("Concat", *sizes, axis=0), axis=-1)
        other = f"{first}, the rest"
        self._nodes[-1].output.append(other)
        return first, other

    def first_rows(self, rows: str, like: str) -> str:
        """As many rows from the beginning as `like` has."""
        return self.op("Slice", rows, self.constant(0), self.rows_of(like), self.constant(0))

    def rows_of(self, value: str) -> str:
        """How many rows there are, as a list of one number."""
        return self.op("Shape", value, start=0, end=1)

    def finish(self, states: str, attended: str, names: LayerNames, feed_forward: int) -> str:
        """The next states (T, width) from `attended` (heads, T, head_width)."""
        width = self.shape.width
        side_by_side = self.op("Transpose", attended, perm=[1, 0, 2])
        merged = self.op("Reshape", side_by_side, self.constant(0, width))
        states = self._added(
            states, self.linear(merged, names.output, width, width), names.output_norm
        )
        wide = self.fused("Gelu", self.up(states, names.up, feed_forward, width))
        return self._added(
            states, self.down(wide, names.down, width, feed_forward), names.down_norm
        )

    def up(self, states: str, name: str, outputs: int, inputs: int) -> str:
        """The linear layer into the feed-forward layer, from normalised states."""
        return self.linear(states, name, outputs, inputs)

    def down(self, wide: str, name: str, outputs: int, inputs: int) -> str:
        """The linear layer out of it, from what GELU gives."""
        return self.linear(wide, name, outputs, inputs)

    def _added(self, states: str, more: str, norm: str) -> str:
        """The layer normalisation of a sum.

        Not by the fused SkipLayerNormalization, which takes five times as long (onnxruntime 1.32).
        """
        return self.norm(self.op("Add", states, more), norm)


class EightBitBuilder(GraphBuilder):
    """A graph whose linear layers multiply whole numbers of 8 bits, but for those of `kept`.

    A layer's matrix W is given as round(W / s), `name`.rounded (inputs, outputs), and s,
    `name`.scale (outputs,); a token's features x become round(x / t) with t = max|x| / 127. So a
    token is rounded by its own features alone. The product of whole numbers is exact on every
    processor, as long as those of a matrix are within 63 of 0. `ragctx.eight_bits` tells what is
    done beside that, and why.
    """

    def __init__(self, shape: Shape, kept: frozenset[str] = frozenset()) -> None:
        super().__init__(shape)
        self._kept = kept
        self._rounded: dict[str, tuple[str, str]] = {}  # by the states that were rounded

    def linear(self, states: str, name: str, outputs: int, inputs: int) -> str:
        """As `GraphBuilder.linear`, but for what rounding costs."""
        if name in self._kept:
            return super().linear(states, name, outputs, inputs)
        whole, step = self._as_rounded(states)
        product = self._product(whole, _ZERO, f"{name}.rounded", f"{name}.scale", outputs, inputs)
        return self.op("Add", self.op("Mul", product, step), self.weight(f"{name}.bias", outputs))

    def up(self, states: str, name: str, outputs: int, inputs: int) -> str:
        """The features are brought to a like size first."""
        alike = self.op("Mul", states, self.weight(f"{name}.shrink", inputs))
        return self.linear(alike, name, outputs, inputs)

    def down(self, wide: str, name: str, outputs: int, inputs: int) -> str:
        """By two matrices; t is max(x) / 255, of features that are nowhere below 0."""
        moved = self.op("Add", wide, self.number(GELU_BELOW_ZERO))
        step = self.op("Div", self.op("ReduceMax", moved, self.constant(-1)), self.number(255))
        whole = self._whole(moved, step, 0)
        products = [
            self._product(whole, 0, f"{name}.{matrix}", f"{name}.{scale}", outputs, inputs)
            for matrix, scale in (("rounded", "scale"), ("rest", "rest_scale"))
        ]
        product = self.op("Mul", self.op("Add", *products), step)
        return self.op("Add", product, self.weight(f"{name}.moved", outputs))

    def _as_rounded(self, states: str) -> tuple[str, str]:
        """Whole numbers (T, inputs), `_ZERO` standing for 0, and each token's step t (T, 1)."""
        if states not in self._rounded:
            highest = self.op("ReduceMax", self.op("Abs", states), self.constant(-1))
            step = self.op("Div", self.op("Max", highest, self.number(1e-12)), self.number(127))
            self._rounded[states] = self._whole(states, step, _ZERO), step
        return self._rounded[states]

    def _whole(self, states: str, step: str, zero: int) -> str:
        """States in steps, as unsigned bytes, `zero` standing for 0."""
        steps = self.op("Squeeze", step, self.constant(-1))
        zeros = self.op("Expand", self.number(zero, np.uint8), self.op("Shape", steps))
        return self.op("QuantizeLinear", states, steps, zeros, axis=0)

    def _product(
        self, whole: str, zero: int, matrix: str, scale: str, outputs: int, inputs: int
    ) -> str:
        """Bytes (T, inputs) times a matrix of whole numbers, (T, outputs), scaled."""
        return self.fused(
            "MatMulIntegerToFloat",
            whole,
            self.weight(matrix, inputs, outputs, kind=TensorProto.INT8),
            self.number(1),
            self.weight(scale, outputs),
            self.number(zero, np.uint8),
        )
