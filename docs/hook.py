"""A hook of MkDocs: shows files from outside docs/ on the site, and mends the links to them.

In the repository a page links to `../CHANGELOG.md`; on the site that file is the page changelog.md.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

FROM_OUTSIDE = {
    "changelog.md": "CHANGELOG.md",
    "results.md": "benchmarks/RESULTS.md",
    "model-card.md": "ragctx/generator/reader/weights/MODEL_CARD.md",
}
"""Pages of the site by name, with the files of the repository that they show."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written outside docs/."""
    for page, path in FROM_OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to those files lead to their pages, and theirs to pictures into docs/images."""
    for name, path in FROM_OUTSIDE.items():
        markdown = re.sub(rf"\]\((?:\.\./)+{re.escape(path)}(?=[)#])", f"]({name}", markdown)
    return re.sub(r"\]\((?:\.\./)+docs/(?=images/)", "](", markdown)
