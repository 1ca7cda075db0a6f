"""Write every page and file that is generated: `python -m docs.build`, or `make docs`.

The picture in the README is not among them: it shows a real run (`python -m docs.build_picture`).
"""

from __future__ import annotations

from pathlib import Path

from docs import build_cli, build_json, build_placement


def files() -> dict[Path, str]:
    """The generated files and their contents."""
    return {
        **build_cli.files(),
        **build_json.files(),
        **build_json.tool_files(),
        **build_placement.files(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
