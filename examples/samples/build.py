"""Build the sample PDFs from their sources: `python examples/samples/build.py [--out FOLDER]`.

Needs reportlab, a development dependency; the PDFs are shipped, so nothing else needs this script.
The same sources give the same bytes: no dates, no random identifiers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from layout import write_pdf
from looks import read_hyphenation, register_fonts
from source_text import read_source

HERE = Path(__file__).parent


def main() -> None:
    """Build every source of src/ into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the PDFs")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    register_fonts()
    hyphenation = read_hyphenation(HERE / "src" / "hyphenation.txt")
    for path in sorted((HERE / "src").glob("*.md")):
        target = out / f"{path.stem}.pdf"
        write_pdf(read_source(path), target, hyphenation)
        sys.stdout.write(f"{target}  {target.stat().st_size / 1024:.0f} kB\n")


if __name__ == "__main__":
    main()
