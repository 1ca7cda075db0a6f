"""Fill the pages with real runs on the sample PDFs: `python -m docs.build_runs` (a minute).

Every ```console block of `PAGES` is run, in order, in a folder that holds examples/samples and
nothing else, as in a terminal of 80 columns; what it prints replaces what the page showed. The
README's picture is a run too. A slow test runs all of it again and compares the words.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "tutorial.md")
PICTURE = ROOT / "docs" / "images" / "ask.svg"
PICTURED = (
    'ragctx ask "For how many years should the station\'s battery last?"',
    'ragctx explain "For how many years should the station\'s battery last?" -k 5 '
    "--budget-tokens 600",
)
"""The commands in the picture."""

_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_PLAIN = {"TERM": "dumb", "NO_COLOR": "1"}
_COLOURED = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def files() -> dict[Path, str]:
    """The pages with what their commands print now, and the picture."""
    made = {}
    for page in PAGES:
        with tempfile.TemporaryDirectory(prefix="ragctx-docs-") as name:
            folder = Path(name)
            _prepare(folder)
            made[page] = filled(page.read_text("utf-8"), folder)
            if PICTURE not in made:
                made[PICTURE] = picture(folder)
    return made


def filled(page: str, folder: Path) -> str:
    """The page with every console block run in `folder`."""

    def run_all(block: re.Match[str]) -> str:
        commands = [line[2:] for line in block.group().splitlines() if line.startswith("$ ")]
        return "".join(
            f"$ {command}\n{_trimmed(output(command, folder, columns=80, settings=_PLAIN))}"
            for command in commands
        )

    return _BLOCK.sub(run_all, page)


def output(command: str, folder: Path, *, columns: int, settings: Mapping[str, str]) -> str:
    """What a command prints to a terminal, then what it says on standard error."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    environment |= {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "RAGCTX_CACHE_DIR": str(folder / "cache"),
        "COLUMNS": str(columns),
        "PYTHONPATH": str(ROOT),
        **settings,
    }
    process = subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=subprocess.PIPE,
        env=environment,
    )
    os.close(its)
    pieces = []
    while piece := _read(mine):
        pieces.append(piece)
    os.close(mine)
    said = process.communicate()[1]
    if process.returncode not in (0, 3):  # 3: the documents do not contain the answer
        raise RuntimeError(f"{command}: exit code {process.returncode}\n{said.decode()}")
    return (b"".join(pieces) + said).decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 2**16)
    except OSError:  # how Linux tells that the other side is closed
        return b""


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


def _prepare(folder: Path) -> None:
    """Put the samples and a `ragctx` of this checkout into an empty folder."""
    shutil.copytree(ROOT / "examples" / "samples", folder / "examples" / "samples")
    program = folder / "bin" / "ragctx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ragctx "$@"\n')
    program.chmod(0o755)


# ---- The picture -----------------------------------------------------------------------------


def picture(folder: Path) -> str:
    """The commands of `PICTURED` and what they print, as an SVG without fonts from elsewhere."""
    from rich.console import Console
    from rich.terminal_theme import MONOKAI
    from rich.text import Text

    output("ragctx ingest examples/samples/*.pdf", folder, columns=80, settings=_PLAIN)
    screen = Console(record=True, width=98, file=io.StringIO(), color_system="truecolor")
    for number, command in enumerate(PICTURED):
        if number:
            screen.print()
        screen.print(Text.assemble(("$ ", "green"), (command, "bold")))
        shown = output(command, folder, columns=98, settings=_COLOURED)
        screen.print(Text.from_ansi(_trimmed(shown)))
    return screen.export_svg(title="", theme=MONOKAI, code_format=_FORMAT, unique_id="ragctx")


_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>ragctx ask and ragctx explain in a terminal</title>
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
    font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
<rect width="{width}" height="{height}" rx="8" fill="#0c0c0c"/>
<g transform="translate({terminal_x}, 12)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
