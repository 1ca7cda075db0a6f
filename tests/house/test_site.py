"""The documentation as a site: it builds strictly, needs no network, and has all that is public."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytest.importorskip("griffe", reason="pip install 'ragctx[docs]'")

from docs.docstrings import comment_of, fenced

FACES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in (ROOT / "ragctx").rglob("__init__.py")
    if "handed_on" in path.read_text("utf-8")
)


def documented_modules() -> set[str]:
    pages = (ROOT / "docs" / "api").glob("*.md")
    return {
        name
        for page in pages
        for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    }


@pytest.mark.parametrize("face", FACES)
def test_whatever_a_package_hands_on_is_in_the_api_reference(face: str) -> None:
    package, documented = import_module(face), documented_modules()
    assert package.__all__
    for name in package.__all__:
        value = getattr(package, name)
        home = value.__name__ if hasattr(value, "__path__") else getattr(value, "__module__", None)
        if isinstance(home, str) and home.startswith("ragctx."):
            assert home in documented, f"{face}.{name}: add ::: {home} to a page in docs/api"


def test_modules_in_the_api_reference_exist() -> None:
    for name in documented_modules():
        path = ROOT.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or path.is_dir(), name


def test_an_example_ends_at_a_blank_line() -> None:
    text = "Add.\n\n>>> 1 + (\n...     1\n... )\n2\n\nMore.\n\n>>> 3\n3"
    assert fenced(text) == (
        "Add.\n\n```pycon\n>>> 1 + (\n...     1\n... )\n2\n```\n\nMore.\n\n```pycon\n>>> 3\n3\n```"
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rank: int  # from 1", "From 1."),
        ("score: float | None  # None: not known …", "None: not known …"),
        ("rank: int", ""),
        ('mark: str = "  # no comment"', ""),
    ],
)
def test_the_comment_behind_a_field_describes_it(line: str, words: str) -> None:
    assert comment_of(line) == words


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "--site-dir", site],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text("utf-8")
        fetched = re.findall(
            r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(?:https?:)?//', text
        )
        assert not fetched, page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", style.read_text("utf-8")), style.name
    for picture in site.rglob("*.svg"):
        assert not re.search(r"(?:href|url|@import)[^>;]{0,9}https?:", picture.read_text("utf-8"))


@pytest.mark.slow
def test_examples_are_code_on_the_site(site: Path) -> None:
    assert "ragctx.placement.orders.edges" in (site / "api" / "placement.html").read_text("utf-8")
    pages = sorted((site / "api").glob("*.html"))
    quotes = [page.name for page in pages if "<blockquote>" in page.read_text("utf-8")]
    assert pages and quotes == []  # what Markdown makes of >>> outside of a fence


@pytest.mark.slow
@pytest.mark.parametrize("link", ["nowhere.md", "index.md#nowhere", "#nowhere", "/index.md"])
def test_a_broken_link_breaks_the_build(tmp_path: Path, link: str) -> None:
    """The build is strict indeed, of anchors too."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text(f"# One\n\n[a link]({link})\n", "utf-8")
    config = tmp_path / "mkdocs.yml"
    settings = "hooks: []\nextra_css: []\nplugins: []\ntheme: mkdocs\nnav: [index.md]\n"
    config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: {docs}\n{settings}", "utf-8")
    done = build(config, tmp_path / "site")
    assert done.returncode == 1 and link in done.stderr, done.stderr
