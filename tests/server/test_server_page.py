"""The page and the program `ragctx serve`, as a person uses them."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.served import PUMP
from tests.support.server_process import server_process

STATIC = files("ragctx.server") / "static"


def test_the_page_runs_nothing_that_stands_in_it() -> None:
    """Its policy forbids code and styles within HTML, and addresses elsewhere."""
    for name in ("index.html", "docs.html"):
        html = (STATIC / name).read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|https?://", html)
    for name in ("app.js", "docs.js"):
        code = (STATIC / name).read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", code)


def test_every_control_of_the_page_has_a_name() -> None:
    html = (STATIC / "index.html").read_text()
    for tag in re.findall(r"<(?:input|select|button)\b[^>]*>", html):
        identity = re.search(r'id="(\w+)"', tag)
        assert identity is not None
        labelled = f'for="{identity[1]}"' in html or re.search(
            rf"<label>[^<]*<(?:input|select)[^>]*id=\"{identity[1]}\"", html
        )
        assert "aria-label" in tag or labelled or tag.startswith("<button"), tag


VARIABLE = re.compile(r"--([\w-]+):\s*(#[0-9a-f]{6})")
TEXTS = [  # what is written on what
    *(
        (ink, ground)
        for ink in ("ink", "faint", "accent", "warn")
        for ground in ("ground", "raised")
    ),
    ("on-accent", "accent"),
    ("on-mark", "mark"),
    *(("on-part", part) for part in ("accent", "instruction", "kept")),
]
SHAPES = [  # what must be told from what is around it
    *((shape, ground) for shape in ("edge", "accent") for ground in ("ground", "raised")),
    *((part, "ground") for part in ("instruction", "kept")),
]


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    shares = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_apart(scheme: str) -> None:
    """As WCAG 2.2 AA asks: 4.5 for text, 3 for what is to be seen beside it."""
    css = (STATIC / "app.css").read_text()
    light, _, dark = css.partition("@media (prefers-color-scheme: dark)")
    colours = dict(VARIABLE.findall(light if scheme == "light" else dark))
    for pairs, least in ((TEXTS, 4.5), (SHAPES, 3.0)):
        for one, other in pairs:
            assert contrast(colours[one], colours[other]) >= least, (one, other)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_colours_are_only_named_where_they_are_measured() -> None:
    """But for the ground of a page of a PDF, which is white in any scheme."""
    css = (STATIC / "app.css").read_text()
    used = set(re.findall(r"var\(--([\w-]+)\)", css))
    named = {one for pair in (*TEXTS, *SHAPES) for one in pair} | {"line"}  # only an ornament
    assert used <= named and not used - dict(VARIABLE.findall(css)).keys()
    outside = re.sub(VARIABLE, "", css).replace("background: #fff;", "")
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb|hsl", outside)


@pytest.mark.slow
@pytest.mark.enable_socket
def test_the_program_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    (tmp_path / "pump.pdf").write_bytes(PUMP)
    with server_process(tmp_path, ".") as server:
        status, answer = server.get("/ask", {"question": "How often must the pump be oiled?"})
        assert status == 200
        assert "pump.pdf" in json.dumps(json.loads(answer))
        assert server.get("/documents", host="evil.example")[0] == 421
        assert server.get("/nowhere")[0] == 404


@pytest.mark.slow
@pytest.mark.enable_socket
def test_the_client_of_openai_speaks_with_the_program(tmp_path: Path) -> None:
    """Over a real socket, and from another name with the token as its key."""
    openai = pytest.importorskip("openai", reason="needs the package openai")
    (tmp_path / "pump.pdf").write_bytes(PUMP)
    messages = [{"role": "user", "content": "How often must the pump be oiled?"}]
    with server_process(tmp_path, ".", "--allow-host", "docs.example", token="secret") as server:
        url = f"{server.address}/v1"
        for headers in ({}, {"Host": "docs.example"}):
            with openai.OpenAI(base_url=url, api_key="secret", default_headers=headers) as client:
                whole = client.chat.completions.create(model="ragctx", messages=messages)
                message = whole.choices[0].message
                assert "two weeks" in message.content
                assert message.annotations[0].url_citation.title == "pump.pdf"
                assert whole.usage.total_tokens > whole.usage.completion_tokens > 0
                with client.chat.completions.create(
                    model="ragctx", messages=messages, stream=True
                ) as chunks:
                    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
                assert text == message.content
                assert client.models.retrieve("ragctx").id == "ragctx"
        with openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError, match="token"):
                client.models.list()
