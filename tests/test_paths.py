"""Laws of `ragctx.paths`: where caches are, and how a text file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragctx.errors import InputError
from ragctx.paths import cache_dir, decoded, expanded
from ragctx.prompt.template import load_template


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without $HOME whom the system does not know, as in many containers."""

    def unknown(self: Path) -> Path:
        if self.parts[:1] and self.parts[0].startswith("~"):
            raise RuntimeError("Could not determine home directory.")
        return self

    monkeypatch.setattr(Path, "expanduser", unknown)
    for name in ("RAGCTX_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_folder_the_variable_to_set_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # `ragctx ask` in a container with --user and without HOME ended in "unexpected RuntimeError".
    with pytest.raises(InputError, match="set RAGCTX_CACHE_DIR"):
        cache_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "ragctx"
    monkeypatch.setenv("RAGCTX_CACHE_DIR", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    monkeypatch.setenv("RAGCTX_CACHE_DIR", "~nobody-of-that-name/cache")
    with pytest.raises(InputError, match="write the path in full"):
        cache_dir()


@pytest.mark.usefixtures("homeless")
def test_a_path_in_an_unknown_home_folder_is_refused_and_another_is_not() -> None:
    with pytest.raises(InputError, match=r"'~/q\.jsonl' begins with a home folder"):
        expanded("~/q.jsonl")
    assert expanded("q.jsonl") == Path("q.jsonl")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_a_text_file_is_read_in_the_encoding_that_its_first_bytes_tell(encoding: str) -> None:
    for text in ("When? \u010a\U0001f600", "W", ""):
        assert decoded(text.encode(encoding)) == text


def test_a_template_s_byte_order_mark_is_no_part_of_the_prompt(tmp_path: Path) -> None:
    file = tmp_path / "mine.prompt"
    file.write_bytes("{passages}{text}\r\n{/passages}{question}".encode("utf-8-sig"))
    template = load_template(file)
    assert [part.text or part.slot for part in template.passage] == ["text", "\n"]
    assert template.before == ()
