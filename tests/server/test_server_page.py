"""The page and the program `ragctx serve`, as a person uses them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.served import PUMP

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


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server in a process of its own; it must end in order."""
    (tmp_path / "pump.pdf").write_bytes(PUMP)
    command = [sys.executable, "-m", "ragctx", "serve", ".", "--index", "index", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # without what keeps tests offline
    program = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert program.stderr is not None
        line = next((line for line in program.stderr if "serving on" in line), "")
        yield re.findall(r"http://\S+", line)[0]
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 0
    finally:
        program.kill()
        program.communicate()


def get(url: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", **headers}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.slow
@pytest.mark.enable_socket
def test_the_program_serves_until_it_is_told_to_end(served: str) -> None:
    status, answer = get(f"{served}/ask", {"question": "How often must the pump be oiled?"})
    assert status == 200
    assert "pump.pdf" in json.dumps(json.loads(answer))
    assert get(f"{served}/documents", host="evil.example")[0] == 421
    assert get(f"{served}/nowhere")[0] == 404


@pytest.mark.slow
@pytest.mark.enable_socket
def test_a_browser_asks_and_sees_the_quote_marked(served: str, tmp_path: Path) -> None:
    """The quote's words lie within what is marked, and hostile text stays text."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    chromium = next(
        (p for p in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(p).exists()), ""
    )
    if not chromium:
        pytest.skip("needs Chromium")
    new = tmp_path / "new.pdf"
    new.write_bytes(PUMP.replace(b"The cap is blue.", b"<img src=x onerror=alert(1)>"))
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(served)
        page.set_input_files("#file", str(new))
        page.locator("#list li").nth(1).wait_for()  # its own policy forbids code from outside
        page.fill("#question", "How often must the pump be oiled?")
        page.press("#question", "Enter")
        page.wait_for_selector(".source")
        page.click(".source")
        page.wait_for_selector("#page")
        assert "onerror" not in page.inner_html("#page") and not wrong
        browser.close()
