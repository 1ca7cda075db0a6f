"""Take the pictures of the page again: `python -m docs.build_screens`.

Needs what `make browser` installs. The page is asked about the sample PDFs, and looked at: narrow
and wide, light and dark.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
QUESTION = "How long can the station run without sun?"
SIZES = {"serve": (1280, 900), "serve-narrow": (390, 844)}
COLOURS = 96  # of the picture's palette: it is small, and nobody sees it


@contextmanager
def served() -> Iterator[str]:
    """The address of a server over the sample PDFs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ragctx", "serve", str(ROOT / "examples" / "samples")]
        command += ["--index", f"{folder}/index", "--port", "0"]
        program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            assert program.stderr is not None
            line = next(line for line in program.stderr if "serving on" in line)
            yield re.findall(r"http://\S+", line)[0]
        finally:
            program.terminate()
            program.communicate()


def screen(page: Page, address: str, *, is_wide: bool) -> bytes:
    """The page with an answer on it; a wide one with its explanation, too."""
    page.goto(address)
    page.fill("#question", QUESTION)
    page.press("#question", "Enter")
    page.wait_for_selector("#page")
    if is_wide:
        page.click("#why > summary")
        page.wait_for_selector("#ledger tbody tr")
    page.wait_for_timeout(500)  # for what is drawn last
    return page.screenshot(full_page=not is_wide)


def main() -> None:
    """Write the pictures."""
    path = "/usr/bin/chromium"
    with served() as address, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                shown = Image.open(io.BytesIO(screen(page, address, is_wide=name == "serve")))
                small = shown.convert("RGB").quantize(COLOURS)
                small.save(IMAGES / f"{name}-{scheme}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
