"""Graphs of the bundled models, run by ONNX Runtime.

A graph is a file of a few kilobytes beside this module, written by `training.graphs`; its weights
come from the model's own file. Each run uses one thread: it never waits for another, and its result
depends on its inputs and the kind of processor alone, to the bit. Several runs go side by side
(`ragctx.threads.each`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ragctx.errors import ModelError

FOLDER = Path(__file__).parent / "graphs"
GRAPHS = "graphs.json"
"""Name of the file that tells each graph's SHA-256 and the names of its weights."""

REINSTALL = "reinstall it: pip install --force-reinstall ragctx"

_FATAL = 4
"""Severity from which ONNX Runtime writes on standard error: what goes wrong is raised, too."""

Weights = Mapping[str, NDArray[Any]]
"""Arrays by the names that a graph has for them."""


class Graph:
    """A graph that is ready to run. `weights` are exactly those that it names; none are copied.

    Raises ModelError if ONNX Runtime cannot run it with these weights.
    """

    def __init__(self, content: bytes, weights: Weights) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # the graphs are written as they should run: looking for better ones takes 30 ms
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        # ONNX Runtime reads the arrays where they are, so they must live as long as the session
        self._weights = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in weights.items()
        }
        try:
            options.add_external_initializers(list(self._weights), list(self._weights.values()))
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors have no common family
            raise ModelError(
                f"onnxruntime {onnxruntime.__version__} cannot run a bundled model "
                f"({str(error).splitlines()[0][:200]}); reinstall both: "
                "pip install --force-reinstall ragctx onnxruntime"
            ) from error
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = _FATAL

    def run(
        self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[np.float32]]:
        """The named outputs, in their order."""
        found: list[NDArray[np.float32]] = self._session.run(outputs, inputs, self._options)
        return found


def load_graph(name: str, weights: Weights) -> Graph:
    """The graph `name` of this version of ragctx; `weights` may hold more than it needs.

    Raises:
        ModelError: the graph is missing, damaged or of another version, or lacks a weight.
    """
    path, about = FOLDER / f"{name}.onnx", _about(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error}); {REINSTALL}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != about.sha256:
        raise ModelError(
            f"{path} is damaged or of another version: SHA-256 {digest}, expected "
            f"{about.sha256}; {REINSTALL}"
        )
    missing = [weight for weight in about.weights if weight not in weights]
    if missing:
        raise ModelError(
            f"{path} needs the weight {missing[0]!r}, which the model's file does not have; "
            f"{REINSTALL}"
        )
    return Graph(content, {weight: weights[weight] for weight in about.weights})


def graph_sha256(name: str) -> str:
    """The SHA-256 of the graph `name` of this version of ragctx: equal ones compute the same.

    Raises:
        ModelError: the file that tells it is missing or damaged.
    """
    return _about(name).sha256


class _About(NamedTuple):
    """What `GRAPHS` tells of a graph."""

    sha256: str
    weights: tuple[str, ...]


def _about(name: str) -> _About:
    path = FOLDER / GRAPHS
    try:
        entry = json.loads(path.read_text("utf-8"))[name]
        return _About(str(entry["sha256"]), tuple(map(str, entry["weights"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is missing or damaged ({error}); {REINSTALL}") from error
