"""A GGUF file as a model: a server is started for it, asked, and always ended."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragctx.assembly import Assembly, assemble
from ragctx.cli.program import run
from ragctx.errors import InputError, MissingExtraError, ModelError
from ragctx.generator.gguf import server
from ragctx.generator.load import load_generator
from ragctx.generator.protocol import Generator, TellsNotes
from ragctx.records import Hit
from tests.support.llama_server import ANSWER
from tests.support.paths import ROOT, SAMPLES

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script"),
    pytest.mark.allow_hosts(["127.0.0.1"]),
]


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `llama-server` that is first on the path."""
    program = tmp_path / "bin" / "llama-server"
    program.parent.mkdir()
    script = (
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.support.llama_server "$@"\n'
    )
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def model_in(folder: Path, content: bytes = b"GGUF...") -> Path:
    file = folder / "tiny-model.gguf"
    file.write_bytes(content)
    return file


def server_of(file: Path) -> int:
    return int((file.parent / "server.pid").read_text(encoding="utf-8"))


def until(happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        if not Path("/proc/self/stat").exists():
            return True
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):  # it may end between any two of these lines
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # a zombie that nobody waited for has ended


@pytest.mark.usefixtures("on_path")
def test_a_file_is_loaded_through_the_one_door_and_its_server_ends_with_it(tmp_path: Path) -> None:
    file = model_in(tmp_path)
    generator = load_generator(file)
    pid = server_of(file)
    assert isinstance(generator, Generator) and generator.name == "tiny-model"
    assert generator.context_window == 4096 and is_running(pid)
    assert generator.tokenizer.count("four") == 4, "by the server, whose tokens are characters"
    del generator
    gc.collect()
    assert not is_running(pid)


@pytest.mark.usefixtures("on_path")
def test_asked_as_a_user_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, index = model_in(tmp_path), str(tmp_path / "index")
    assert run(["ingest", str(SAMPLES / "field-station-manual.pdf"), "--index", index]) == 0
    capsys.readouterr()
    arguments = ["--index", index, "--model", str(file), "--context-window", "9000", "--json"]
    assert run(["ask", "How often is the filter cleaned?", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"] == ANSWER and found["citations"]
    assert found["usage"]["context_window"] == 9000 and found["model"] == "tiny-model"
    gc.collect()
    until(lambda: not is_running(server_of(file)))


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("content", [b"GGUF...", b"GGUF slow"], ids=["answering", "loading"])
def test_the_server_ends_however_its_user_ends(
    tmp_path: Path, how: signal.Signals, content: bytes
) -> None:
    file = model_in(tmp_path, content)
    program = (
        "import time; from ragctx.generator.load import load_generator; "
        f"kept = load_generator({str(file)!r}); print('ready', flush=True); time.sleep(60)"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # without the tests' own bar to sockets
    )
    assert user.stdout is not None
    if b"slow" not in content:
        assert user.stdout.readline() == b"ready\n"
    until((tmp_path / "server.pid").exists)
    user.send_signal(how)
    user.wait(20)
    user.stdout.close()
    until(lambda: not is_running(server_of(file)))


@pytest.mark.usefixtures("on_path")
def test_what_cannot_be_loaded_is_one_line_with_the_server_s_own_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ended: error: tensor .* is out of bounds"):
        load_generator(model_in(tmp_path, b"GGUF broken"))
    with pytest.raises(ModelError, match=r"no GGUF file \(it begins with b'<!DO'\)"):
        load_generator(model_in(tmp_path, b"<!DOCTYPE html>"))
    with pytest.raises(ModelError, match="No such file"):
        load_generator(tmp_path / "nowhere.gguf")
    assert run(["plan", str(model_in(tmp_path))]) == 1
    with pytest.raises(InputError, match="leave --kv-cache out"):
        load_generator(model_in(tmp_path), kv_cache=tmp_path)


@pytest.mark.usefixtures("on_path")
def test_a_server_that_never_loads_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOAD_S", 1.0)
    file = model_in(tmp_path, b"GGUF slow")
    with pytest.raises(ModelError, match="not loaded the model after 1 s"):
        load_generator(file)
    assert not is_running(server_of(file))


def test_without_llama_cpp_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r"llama-server on the path.*pip install 'ragctx\[gguf\]'"
    ):
        load_generator(model_in(tmp_path))


# ---- the real llama.cpp --------------------------------------------------------------------------

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_llama(gguf: Any, file: Path, *, width: int = 64, inner: int = 128) -> None:
    """Two layers of random weights, with a byte-level tokenizer and a chat template."""
    from tests.generator.test_huggingface import byte_characters  # which needs the hf extra

    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_block_count(2)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    tokens = [*byte_characters().values(), "<|im_start|>", "<|im_end|>", "ab"]
    writer.add_token_list(tokens)
    writer.add_token_merges(["a b"])
    writer.add_token_types([*[1] * 256, 3, 3, 1])
    writer.add_eos_token_id(257)
    writer.add_chat_template(CHATML)
    rng = np.random.default_rng(0)
    square, ones = (width, width), np.ones(width, np.float32)
    shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), square)
    shapes |= {"ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner)}
    weights = {"token_embd": (len(tokens), width), "output": (len(tokens), width)}
    weights |= {f"blk.{i}.{name}": shape for i in range(2) for name, shape in shapes.items()}
    for name, shape in weights.items():
        writer.add_tensor(f"{name}.weight", rng.normal(0, 0.2, shape).astype(np.float32))
    for name in ("output_norm", *(f"blk.{i}.{n}_norm" for i in range(2) for n in ("attn", "ffn"))):
        writer.add_tensor(f"{name}.weight", ones)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.slow
def test_the_real_llama_cpp_answers_and_counts_as_is_counted_here(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="pip install gguf xllamacpp to run it")
    pytest.importorskip("xllamacpp", reason="pip install gguf xllamacpp to run it")
    write_tiny_llama(gguf, tmp_path / "tiny.gguf")
    generator = load_generator(tmp_path / "tiny.gguf", context_window=2048)
    hits = [Hit.from_text(1, 0.9, "Tin melts at 232 degrees, as the table says.")]
    window, assembly = generator.context_window, Assembly(max_new_tokens=16)
    prompt = assemble(
        "At which heat?", hits, generator.tokenizer, context_window=window, assembly=assembly
    )
    again = [generator.generate(prompt) for _ in range(2)]
    assert generator.context_window == 2048 and again[0].text == again[1].text
    assert again[1].reused_tokens > 0
    assert isinstance(generator, TellsNotes) and generator.take_notes() == (), "both count alike"
