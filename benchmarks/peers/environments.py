"""Environments of other packages, one for each, beside that of ragctx.

Each has the packages of its own and, by a path file, those of the environment that makes it. So all
run the same torch, sentence-transformers and numpy, and nothing of one comes in the way of another.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

PLACE = Path(__file__).parents[2] / "build" / "peers"
_MADE = "made.txt"


def environment_of(name: str, packages: Sequence[str], place: Path = PLACE) -> Path:
    """The Python of an environment that has these packages, made if need be: a minute or two."""
    folder = place / name
    python = folder / "bin" / "python"
    wanted = "\n".join([sys.version, *packages])
    made = folder / _MADE
    if made.is_file() and made.read_text() == wanted:
        return python
    sys.stderr.write(f"making the environment {folder} with {', '.join(packages)}\n")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path_file = folder / "lib" / version / "site-packages" / "shared.pth"
    path_file.write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", "--no-input"]
    subprocess.run([*pip, "install", *packages], check=True)
    made.write_text(wanted)
    return python
