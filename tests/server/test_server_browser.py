"""The page in a real browser: what a person sees, and what hostile documents and pages try.

Needs playwright and Chromium; `make browser` installs both.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from ragctx.pdf.page_image import page_image, page_sheet
from ragctx.records import Generation, Prompt
from ragctx.server.app import create_app
from ragctx.server.service import Service
from tests.support.browsers import chromium
from tests.support.generators import ScriptedGenerator
from tests.support.paths import SAMPLES
from tests.support.pdf_files import document, lines
from tests.support.served import PUMP
from tests.support.server_process import ServerProcess, server_process

pytest.importorskip("uvicorn", reason="needs the extra ragctx[serve]")

from tests.support.server_thread import server_thread

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]
MANUAL = SAMPLES / "field-station-manual.pdf"
QUESTION = "For how many years should the station's battery last?"
QUOTE = "The battery is expected to last for eight years"
SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const moved = entry.sources.map(({ node }) => node?.id || node?.nodeName);
      if (!entry.hadRecentInput) window.shifts.push([entry.value, ...moved]);
    }
  }).observe({ type: "layout-shift", buffered: true });
}"""


@dataclass
class Tab:
    """A page of the browser, and what went wrong on it."""

    page: Any
    wrong: list[str] = field(default_factory=list)
    confirmed: str = ""  # the one question that is answered by yes

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", self._answer)
        self.page.on(
            "console",
            lambda message: message.type == "error" and self.wrong.append(message.text),
        )

    def _answer(self, dialog: Any) -> None:
        if self.confirmed and dialog.message == self.confirmed:
            dialog.accept()
            return
        self.wrong.append(dialog.message)
        dialog.dismiss()

    def until(self, is_so: str) -> None:
        """Wait until a JavaScript expression is true. (Playwright's own wait needs `eval`.)"""
        end = time.monotonic() + 30
        while not self.page.evaluate(is_so):
            assert time.monotonic() < end, is_so
            time.sleep(0.02)

    def ask(self, question: str) -> None:
        """Type a question, and wait for its answer."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("/")
        self.page.keyboard.type(question)
        self.page.keyboard.press("Enter")
        self.until("document.getElementById('send').textContent === 'Ask'")


def open_tab(browser: Any, address: str, *, width: int = 1280, scheme: str = "light") -> Tab:
    size = {"width": width, "height": 900}
    tab = Tab(browser.new_page(viewport=size, color_scheme=scheme))
    tab.page.goto(address)
    return tab


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium("--host-resolver-rules=MAP evil.example 127.0.0.1") as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server over the sample manual and a small PDF."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "pump.pdf").write_bytes(PUMP)
    with server_process(folder, str(MANUAL), "pump.pdf") as server:
        yield server


def letters(text: str) -> str:
    return re.sub(r"\W", "", text).lower()


def yellow_boxes(png: Any) -> Any:
    """Where a picture is marked: a mask of its pixels."""
    import io

    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return (red > 180) & (green > 160) & (blue < 140)


def test_what_is_marked_on_the_screen_is_the_quote(browser: Any, served: ServerProcess) -> None:
    """The glyphs under the yellow that the browser shows are those of the quote, and no others."""
    tab = open_tab(browser, served.address)
    tab.ask(QUESTION)
    source = tab.page.locator("#sources .source").first
    source.click()
    tab.page.wait_for_selector("#page")
    tab.page.wait_for_timeout(500)
    quote = source.locator("span").inner_text()
    assert QUOTE in quote
    shown = tab.page.locator("#page")
    size = shown.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    png = tab.page.evaluate(
        """async (source) => [...new Uint8Array(
            await (await fetch(source)).arrayBuffer())]""",
        shown.get_attribute("src"),
    )
    mask = yellow_boxes(bytes(png))
    assert list(mask.shape) == size[::-1]
    number = int(re.findall(r"\d+", tab.page.inner_text("#where"))[0])
    scale = size[0] / (page_image(MANUAL, number).width / 2)
    marked = ""
    for line in page_sheet(MANUAL, number).lines:
        for text, (left, top, right, bottom) in zip(line.text, line.boxes, strict=True):
            x, y = (
                slice(int(left * scale), int(right * scale) + 1),
                slice(int(top * scale), int(bottom * scale) + 1),
            )
            if text.strip() and mask[y, x].mean() > 0.2:
                marked += text
    assert letters(marked) == letters(quote)
    # It is in sight without scrolling.
    box = tab.page.locator("#sheet").bounding_box()
    first = np.argwhere(mask)[0]
    at = shown.bounding_box()
    y = at["y"] + first[0] * at["height"] / size[1]
    assert box["y"] <= y <= box["y"] + box["height"]
    assert not tab.wrong


def test_a_person_asks_with_the_keyboard_alone(browser: Any, served: ServerProcess) -> None:
    tab = open_tab(browser, served.address)
    page = tab.page
    page.wait_for_selector("#list li", state="attached")
    tab.ask(QUESTION)
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.wait_for_selector("#page")
    place = page.inner_text("#where")
    number = int(re.findall(r"\d+", place)[0])
    page.keyboard.press("ArrowRight")
    tab.until(f"document.getElementById('page').alt.startsWith('Page {number + 1} ')")
    page.keyboard.press("ArrowLeft")
    tab.until(f"document.getElementById('page').alt.startsWith('Page {number} ')")
    assert "quote=" in page.get_attribute("#page", "src")
    width = page.locator("#page").bounding_box()["width"]
    page.keyboard.press("+")
    assert page.locator("#page").bounding_box()["width"] == pytest.approx(1.25 * width, rel=0.05)
    page.keyboard.press("w")
    page.wait_for_selector("#ledger tbody tr")
    assert "edges" in page.inner_text("#placement-out")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()
    page.click("#help")
    page.click("#close")
    assert not page.locator("#keys").is_visible()
    assert not tab.wrong


def test_sliders_assemble_the_prompt_at_once(browser: Any, served: ServerProcess) -> None:
    """Less budget leaves passages out, another placement orders them differently."""
    tab = open_tab(browser, served.address)
    page = tab.page
    tab.ask(QUESTION)
    page.click("#why > summary")
    page.wait_for_selector("#ledger tbody tr")

    def order() -> list[str]:
        return page.locator("#bar .passage").all_inner_texts()

    assert order() == ["1", "3", "5", "4", "2"]
    slide = "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }"
    page.locator("#placement").evaluate(slide, "1")
    tab.until("document.querySelector('#bar .passage').textContent === '5'")
    assert page.inner_text("#placement-out") == "best last" and order() == list("54321")
    page.locator("#budget").evaluate(slide, "400")
    page.wait_for_selector("#ledger tr.dropped")
    assert len(order()) < 5
    budget = re.findall(r"\d+", page.inner_text("#budget-out"))[0]
    used = int(re.findall(r"\d+", page.inner_text("#certificate"))[0])
    assert used <= int(budget) == 400
    page.locator("#ledger tbody button").last.click()
    page.wait_for_selector("#page")
    page.click("#whole > summary")
    tab.until("document.getElementById('prompt').textContent.length > 100")
    assert not tab.wrong


def test_what_is_not_in_the_documents_is_no_answer(browser: Any, served: ServerProcess) -> None:
    tab = open_tab(browser, served.address)
    tab.ask(QUESTION)
    tab.page.wait_for_selector("#page")
    tab.ask("Who won the football world cup in 1954?")
    assert tab.page.locator("#page").count() == 0  # which is that of the answer before
    assert "Nearest passages, not an answer" in tab.page.inner_text("#others")
    assert tab.page.locator("#others .source").count() == 3
    assert tab.page.locator("#sources .source").count() == 0


def test_a_follow_up_says_how_it_was_asked(browser: Any, served: ServerProcess) -> None:
    tab = open_tab(browser, served.address)
    tab.ask("How often must the pump be oiled?")
    assert tab.page.inner_text("#as-text") == ""
    tab.ask("And why?")
    said = "Asked as: How often must the pump be oiled? And why?"
    assert tab.page.inner_text("#as-text") == said
    tab.page.click("#why > summary")
    tab.page.click("#whole > summary")
    tab.until("document.getElementById('prompt').textContent.includes('oiled? And why?')")
    tab.page.click("#new")
    tab.ask("And why?")
    assert tab.page.inner_text("#as-text") == ""


def test_an_upload_tells_how_far_it_is_and_its_row(
    browser: Any, served: ServerProcess, tmp_path: Path
) -> None:
    tab = open_tab(browser, served.address)
    page = tab.page
    page.wait_for_selector("#list li", state="attached")
    before = page.locator("#list li").count()
    new, broken = tmp_path / "again.pdf", tmp_path / "broken.pdf"
    new.write_bytes(MANUAL.read_bytes() + b"\n% another file")
    broken.write_bytes(b"%PDF-1.7\n" + bytes(5000))
    page.evaluate(
        """() => {
          window.told = [];
          const uploads = document.getElementById("uploads");
          new MutationObserver(() => {
            const bar = uploads.querySelector("progress");
            if (bar) window.told.push([uploads.innerText, bar.value, bar.max]);
          }).observe(uploads, { childList: true, subtree: true, characterData: true });
        }"""
    )
    page.set_input_files("#file", [str(new), str(broken)])
    tab.until("document.querySelectorAll('#uploads p:not(:has(progress))').length === 2")
    told = page.locator("#uploads p").all_inner_texts()
    on_the_way = page.evaluate("window.told")
    assert any("MiB" in text for text, _, _ in on_the_way)
    assert any(re.search(r"page \d+ of 19\b", text) and most == 19 for text, _, most in on_the_way)
    assert told[0] == "again.pdf: added, 19 pages, ok" and "broken.pdf: failed" in told[1]
    assert page.locator("#list li").count() == before + 1
    tab.page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["no"], "notes.exe"));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }"""
    )
    tab.until("document.querySelectorAll('#uploads p.failed').length === 2")
    tab.confirmed = "Take again.pdf out of the index?"
    page.get_by_label("Remove again.pdf").click()
    tab.until(f"document.querySelectorAll('#list li').length === {before}")


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_hostile_names_texts_and_questions_stay_text(browser: Any, tmp_path: Path) -> None:
    """Nothing of them runs, and they are seen as what they are."""
    name = "<img src=x onerror=alert(3)>.pdf"
    (tmp_path / "<svg onload=alert(4)>.pdf").write_bytes(
        document([lines(f"The pump must be oiled every {HOSTILE} weeks.")])
    )
    with server_process(tmp_path, ".") as server:
        tab = open_tab(browser, server.address)
        upload = {
            "name": name,
            "mimeType": "application/pdf",
            "buffer": document([lines("The cap is <b onclick=alert(5)>blue</b>.")]),
        }
        tab.page.set_input_files("#file", upload)
        tab.until("document.querySelector('#uploads .failed') !== null")
        assert "is no file name" in tab.page.inner_text("#uploads")
        for question in (f"How often must the pump be oiled? {HOSTILE}", f"{HOSTILE}?", "And why?"):
            tab.ask(question)
            tab.page.locator(".source").first.click()
            tab.page.wait_for_selector("#page")
        tab.page.click("#why > summary")
        tab.page.wait_for_selector("#ledger tbody tr")
        tab.page.click("#whole > summary")
        tab.until("document.getElementById('prompt').textContent.length > 20")
        assert "<script>" in tab.page.inner_text("#prompt")
        assert tab.page.locator("main script, main img:not(#page), main svg").count() == 0
        assert not [one for one in tab.wrong if "400 (Bad Request)" not in one]


class _Elsewhere(BaseHTTPRequestHandler):
    """Somebody else's page, which sends what it may."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><form method=post><input name=a></form>")

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def test_pages_of_others_can_do_nothing(browser: Any, served: ServerProcess) -> None:
    """In each way in which a page may send without being asked, and by another name for it."""
    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    Thread(target=elsewhere.serve_forever, daemon=True).start()
    try:
        page = browser.new_page()
        page.goto(f"http://localhost:{elsewhere.server_port}/")
        names = served.names()
        body = json.dumps({"question": "What colour is the cap?"})
        sent = page.evaluate(
            """async ([address, body]) => {
              const tries = [
                ["/ask", { method: "POST", body, mode: "no-cors" }],
                ["/ask", { method: "POST", body, headers: { "content-type": "application/json" } }],
                ["/documents/evil.pdf", { method: "PUT", body: "%PDF-1.7" }],
                ["/documents/x", { method: "DELETE" }],
                ["/documents", {}],
                ["/documents", { mode: "no-cors" }],
              ];
              const seen = [];
              for (const [path, init] of tries) {
                try { seen.push((await fetch(address + path, init)).type); }
                catch (error) { seen.push(error.name); }
              }
              navigator.sendBeacon(address + "/ask", body);
              return seen;
            }""",
            [served.address, body],
        )
        assert {*sent} <= {"TypeError", "opaque"} and sent[1:5] == ["TypeError"] * 4
        asked = r'method="POST",route="/ask",status="200"'
        before = served.get("/metrics")[1].decode().count(asked)
        page.evaluate(
            """(address) => { const form = document.forms[0]; form.action = address + "/ask";
              form.enctype = "text/plain"; form.submit(); }""",
            served.address,
        )
        page.wait_for_url(f"{served.address}/ask")
        assert "may not ask" in page.inner_text("body")
        assert served.get("/metrics")[1].decode().count(asked) == before
        assert served.names() == names
        page.goto(f"http://evil.example:{served.port}/documents")
        assert "is not called" in page.inner_text("body") and "pump" not in page.inner_text("body")
        page.close()
    finally:
        elsewhere.shutdown()
        elsewhere.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280, 1600])
def test_the_page_fits_and_can_be_used_by_anybody(
    browser: Any, served: ServerProcess, width: int, scheme: str
) -> None:
    """No scrolling sideways; and what axe can find out about accessibility, if it is installed."""
    tab = open_tab(browser, served.address, width=width, scheme=scheme)
    page = tab.page
    tab.ask("How long can the station run without sun?")
    page.wait_for_selector("#page")
    for name in ("why", "documents"):
        page.click(f"#{name} > summary")
    page.wait_for_selector("#ledger tbody tr")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, summary, input, a")]
          .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 24
            && !one.closest("p, header"))
          .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert not small  # WCAG 2.2: targets of 24 pixels
    assert not tab.wrong
    page.close()
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-playwright-python"
    )
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    for path in ("/", "/docs"):
        page.goto(f"{served.address}{path}")
        if path == "/":
            Tab(page).ask("How long can the station run without sun?")
            page.wait_for_selector("#page")
            page.click("#why > summary")
            page.wait_for_selector("#ledger tbody tr")
        found = axe.Axe().run(page)
        assert not found.response["violations"], found.generate_report()
    context.close()


class Talker(ScriptedGenerator):
    """Writes a long answer, a word at a time."""

    def __init__(self) -> None:
        super().__init__(" ".join(f"word{i} [1]" if i % 9 == 8 else f"word{i}" for i in range(300)))

    def generate(
        self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        def slowly(text: str) -> None:
            time.sleep(0.01)
            if on_text:
                on_text(text)

        return super().generate(prompt, on_text=slowly)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_moves_while_an_answer_is_written(
    browser: Any, service: Service, width: int
) -> None:
    """The sum of layout shifts, as browsers measure them, is below what can be seen."""
    with server_thread(create_app(replace(service, generator=Talker()))) as port:
        tab = open_tab(browser, f"http://127.0.0.1:{port}", width=width)
        tab.page.wait_for_selector("#list li", state="attached")
        tab.page.evaluate(SHIFTS)
        tab.ask("How often must the pump be oiled?")
        tab.page.wait_for_selector("#page")
        tab.page.wait_for_timeout(300)
        shifts = tab.page.evaluate("window.shifts")
        assert sum(shift[0] for shift in shifts) < 0.001, shifts
        marks = tab.page.locator("#text button")
        assert marks.count() > 10 and marks.first.inner_text() == "[1]"
        tab.page.close()


def test_an_answer_can_be_stopped(browser: Any, service: Service) -> None:
    talker = Talker()
    with server_thread(create_app(replace(service, generator=talker))) as port:
        tab = open_tab(browser, f"http://127.0.0.1:{port}")
        tab.page.fill("#question", "How often must the pump be oiled?")
        tab.page.press("#question", "Enter")
        tab.until("document.getElementById('text').textContent.includes('word9')")
        tab.page.keyboard.press("Escape")
        tab.until("document.getElementById('state').textContent === 'stopped'")
        assert "word299" not in tab.page.inner_text("#text")
        tab.page.close()
