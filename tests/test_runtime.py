"""Laws of the graphs: what ships is what training writes; a wrong file is never run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

from ragctx import runtime
from ragctx.embedding import load_embedder
from ragctx.errors import ModelError
from ragctx.generator.reader.reader import load_bundled
from ragctx.runtime import FOLDER, GRAPHS, Graph
from ragctx.weights import mapped_arrays, read_weights
from tests.support.paths import ROOT, SAMPLES
from training.graph_builder import GraphBuilder
from training.graphs import write
from training.transformer import Shape

NAMES = ("embedder", "embedder_8bit", "reader_first", "reader_last", "reader_second")


@pytest.fixture
def graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped graphs, which are loaded from there."""
    folder = tmp_path / "graphs"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr(runtime, "FOLDER", folder)
    return folder


def test_the_shipped_graphs_are_those_that_training_writes(tmp_path: Path) -> None:
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in FOLDER.iterdir()}
    for name in NAMES:
        made, shipped = (
            onnx.load_model(f / f"{name}.onnx", load_external_data=False)
            for f in (tmp_path, FOLDER)
        )
        assert made.graph == shipped.graph
        assert (FOLDER / f"{name}.onnx").stat().st_size < 50_000, "weights ship once, not here"


@pytest.mark.parametrize(
    "load",
    [partial(load_embedder, "float32"), partial(load_embedder, "int8"), load_bundled],
    ids=["float32", "int8", "reader"],
)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged or of another version"),
        (lambda path: path.write_bytes(b""), "damaged or of another version"),
        (lambda path: (path.parent / GRAPHS).unlink(), "missing or damaged"),
        (lambda path: (path.parent / GRAPHS).write_text("{}"), "missing or damaged"),
        (lambda path: (path.parent / GRAPHS).write_text("[" * 9), "missing or damaged"),
    ],
    ids=["no graph", "cut", "empty", "no list", "not in the list", "no JSON"],
)
def test_a_graph_that_is_missing_or_damaged_is_an_error_with_a_remedy(
    graphs: Path, load: Callable[[], object], damage: Callable[[Path], object], message: str
) -> None:
    for name in NAMES:
        if (graphs / GRAPHS).exists() and (graphs / f"{name}.onnx").exists():
            damage(graphs / f"{name}.onnx")
    with pytest.raises(ModelError, match=f"{message}.*pip install --force-reinstall ragctx"):
        load()


def test_a_graph_of_another_version_needs_weights_that_are_not_there(graphs: Path) -> None:
    about = json.loads((graphs / GRAPHS).read_text("utf-8"))
    about["embedder_8bit"]["weights"].append("a weight of the next version")
    (graphs / GRAPHS).write_text(json.dumps(about), "utf-8")
    with pytest.raises(ModelError, match=r"needs the weight .a weight of the next.*pip install"):
        load_embedder("int8")


def test_a_graph_that_this_onnxruntime_cannot_run_is_an_error_with_a_remedy() -> None:
    builder = GraphBuilder(Shape())
    builder.output(builder.fused("NoSuchOperation", builder.input("x", 1, 3)), "y", 3)
    with pytest.raises(ModelError, match=r"onnxruntime [\d.]+ cannot run.*pip install"):
        Graph(builder.written("unknown").content, {})


@pytest.mark.parametrize("content", [b"", b"x", bytes(8), b"\xff" * 64, b"\2" + bytes(7) + b"{}"])
def test_a_file_of_weights_that_is_another_one_says_so(tmp_path: Path, content: bytes) -> None:
    """Whatever went wrong while it was used: a nonsense header is only a symptom."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="Get it again"):
        with read_weights(path, "0" * 64, "Get it again") as weights:
            _ = weights["not there"]


def test_an_error_that_is_not_the_files_is_not_hidden(tmp_path: Path) -> None:
    from safetensors.numpy import save

    from ragctx.paths import sha256_of

    path, array = tmp_path / "weights.safetensors", np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(save({"a": array}))
    with read_weights(path, sha256_of(path), "") as weights:
        assert np.array_equal(weights["a"], array) and not weights["a"].flags.writeable
    with pytest.raises(KeyError), read_weights(path, sha256_of(path), "") as weights:
        _ = weights["b"]
    assert mapped_arrays(path.read_bytes())["a"].dtype == np.float32


def test_no_command_with_the_bundled_models_imports_torch(tmp_path: Path) -> None:
    """Its import took longer than all the rest of an answer."""
    pdf, index = str(SAMPLES / "field-station-manual.pdf"), str(tmp_path / "index")
    question = "For how many years should the station's battery last?"
    code = (
        "import sys; from ragctx.cli.program import run\n"
        f"assert run(['ingest', {pdf!r}, '--index', {index!r}]) == 0\n"
        f"assert run(['search', {question!r}, '--index', {index!r}]) == 0\n"
        f"assert run(['ask', {question!r}, '--index', {index!r}]) == 0\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'onnx'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "battery" in done.stdout
