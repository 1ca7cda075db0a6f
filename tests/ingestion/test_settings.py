"""Laws of an index's settings: the first ingest sets them, and only a rebuild changes them."""

from __future__ import annotations

import shlex
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragctx.errors import InputError
from ragctx.index.database import DATABASE
from ragctx.index.index import Index
from ragctx.index.repair import repair_index, verify_index
from ragctx.ingestion.progress import Progress
from ragctx.ingestion.run import ingest
from ragctx.ingestion.settings import IngestSettings, Recipe
from ragctx.records import Document
from tests.support.fakes import HashEmbedder
from tests.support.text_pdfs import TextReader, write

LONG = " ".join(f"Sentence number {n} of a long text." for n in range(60))


@pytest.fixture
def folder(tmp_path: Path, reader: TextReader) -> Path:
    write(tmp_path / "pdfs" / "a.pdf", f"First: {LONG}")
    write(tmp_path / "pdfs" / "b.pdf", f"Second: {LONG}")
    write(tmp_path / "other" / "c.pdf", f"Third: {LONG}")
    return tmp_path


def run(
    folder: Path, what: str = "pdfs", *, rebuild: bool = False, **settings: int | str
) -> list[str]:
    """The outcomes, by file name."""
    made = IngestSettings(**settings) if settings else None  # type: ignore[arg-type]
    rows = ingest(folder / what, folder / "index", HashEmbedder(), settings=made, rebuild=rebuild)
    return [f"{Path(row.path).stem} {row.outcome}" for row in rows]


def recipes(folder: Path) -> dict[str, int | None]:
    """The chunk size by which each source was made."""
    made = {}
    for source in Index.open(folder / "index").sources():
        recipe = Recipe.parsed(source.recipe)
        made[Path(source.path).stem] = recipe and recipe.chunk_tokens
    return made


def remembered(folder: Path) -> Recipe | None:
    return Recipe.parsed(Index.open(folder / "index").info().recipe)


def test_what_the_first_ingest_set_goes_for_the_next(folder: Path) -> None:
    run(folder, chunk_tokens=40, overlap_tokens=8)
    assert run(folder) == ["a unchanged", "b unchanged"]
    run(folder, "other")
    assert recipes(folder) == {"a": 40, "b": 40, "c": 40}
    found = remembered(folder)
    assert found is not None and (found.chunk_tokens, found.overlap_tokens) == (40, 8)


def test_hidden_text_is_kept_where_the_first_ingest_kept_it(folder: Path) -> None:
    settings = IngestSettings(hidden="keep")
    ingest(folder / "pdfs", folder / "index", HashEmbedder(), settings=settings)
    recipe = remembered(folder)
    assert recipe is not None and recipe.hidden == "keep"
    assert run(folder) == ["a unchanged", "b unchanged"]
    with pytest.raises(InputError, match=r"--hidden keep, not drop.*--hidden drop --rebuild"):
        run(folder, hidden="drop")
    with pytest.raises(InputError, match="valid: drop, keep"):
        run(folder, hidden="show")


def test_a_recipe_says_nothing_of_hidden_text_that_is_left_out() -> None:
    """Indexes that were made before there was a choice have the same recipe."""
    recipe = Recipe(reader="auto", chunk_tokens=180, overlap_tokens=0, embedder="hidden=keep m@1")
    assert str(recipe) == ("reader=auto chunk_tokens=180 overlap_tokens=0 embedder=hidden=keep m@1")
    assert Recipe.parsed(str(recipe)) == recipe


def test_other_settings_are_refused_with_the_command_that_rebuilds(folder: Path) -> None:
    # They were taken without a word: half of an index was cut one way, half of it the other.
    run(folder, chunk_tokens=40)
    before = Index.open(folder / "index").sources()
    with pytest.raises(InputError, match="--chunk-tokens 40, not 60") as refused:
        run(folder, chunk_tokens=60)
    command = str(refused.value).partition("ragctx ingest ")[2]
    assert shlex.split(command) == [
        str(folder / "pdfs"),
        "--index",
        str(folder / "index"),
        "--chunk-tokens",
        "60",
        "--rebuild",
    ]
    assert Index.open(folder / "index").sources() == before
    assert run(folder, chunk_tokens=40) == ["a unchanged", "b unchanged"]


def test_a_rebuild_makes_every_document_again_wherever_it_is(folder: Path) -> None:
    run(folder, chunk_tokens=40)
    run(folder, "other")
    assert run(folder, rebuild=True, chunk_tokens=60) == ["c replaced", "a replaced", "b replaced"]
    assert recipes(folder) == {"a": 60, "b": 60, "c": 60}
    assert run(folder) == ["a unchanged", "b unchanged"]


def test_a_rebuild_that_is_cut_off_loses_nothing_and_goes_on(folder: Path) -> None:
    run(folder, chunk_tokens=40)
    b = folder / "pdfs" / "b.pdf"
    text = b.read_text()
    ids = {source.document_id for source in Index.open(folder / "index").sources()}
    reading = reader_that_stops_at("b.pdf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragctx.ingestion.reading.read_pdf", reading)
        with pytest.raises(KeyboardInterrupt):
            run(folder, rebuild=True, chunk_tokens=60)
    assert recipes(folder) == {"a": 60, "b": 40}
    index = Index.open(folder / "index")
    assert {source.document_id for source in index.sources()} == ids
    assert all(index.chunks(document_id) for document_id in ids)
    assert verify_index(folder / "index") == ()
    assert b.read_text() == text
    assert run(folder, rebuild=True, chunk_tokens=60) == ["a completed", "b replaced"]
    assert recipes(folder) == {"a": 60, "b": 60}


def reader_that_stops_at(name: str) -> TextReader:
    class Stopping(TextReader):
        def __call__(self, path: Path, **settings: Any) -> Document:
            if path.name == name:
                raise KeyboardInterrupt
            return super().__call__(path, **settings)

    return Stopping()


def test_what_cannot_be_read_again_stays_as_it_was(folder: Path) -> None:
    run(folder, chunk_tokens=40)
    write(folder / "pdfs" / "b.pdf", "!corrupt")
    (folder / "pdfs" / "a.pdf").unlink()
    assert run(folder, rebuild=True, chunk_tokens=60) == ["b failed", "a vanished"]
    assert recipes(folder) == {"a": 40, "b": 40}


def forget(folder: Path) -> None:
    """Make the index one of ragctx 0.1, which remembers nothing."""
    with closing(sqlite3.connect(folder / "index" / DATABASE)) as database, database:
        assert database.execute("DELETE FROM meta WHERE key = 'recipe'").rowcount == 1


def test_an_index_that_remembers_nothing_is_asked_how_its_documents_were_made(
    folder: Path,
) -> None:
    run(folder, chunk_tokens=40)
    forget(folder)
    found = remembered(folder)
    assert found is not None and found.chunk_tokens == 40
    with pytest.raises(InputError, match="--rebuild"):
        run(folder, chunk_tokens=60)
    assert run(folder) == ["a unchanged", "b unchanged"]


def test_an_old_index_whose_documents_do_not_agree_takes_what_it_is_told(folder: Path) -> None:
    run(folder, chunk_tokens=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragctx.ingestion.reading.read_pdf", reader_that_stops_at("b.pdf"))
        with pytest.raises(KeyboardInterrupt):
            run(folder, rebuild=True, chunk_tokens=60)
    forget(folder)
    assert remembered(folder) is None
    assert run(folder, chunk_tokens=60) == ["a completed", "b replaced"]


def test_a_first_ingest_that_brought_nothing_sets_nothing_for_good(folder: Path) -> None:
    write(folder / "bad" / "x.pdf", "!corrupt")
    assert run(folder, "bad", chunk_tokens=40) == ["x failed"]
    assert run(folder, chunk_tokens=60) == ["a added", "b added"]


def test_a_repaired_index_still_knows_its_settings(folder: Path) -> None:
    run(folder, chunk_tokens=40)
    file = folder / "index" / DATABASE
    data = bytearray(file.read_bytes())
    data[16:100] = bytes(84)  # of the header: nothing can be opened, every row can be read
    file.write_bytes(data)
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)
    assert verify_index(folder / "index") != ()
    repair_index(folder / "index")
    assert run(folder) == ["a unchanged", "b unchanged"]
    found = remembered(folder)
    assert found is not None and found.chunk_tokens == 40


def test_settings_are_checked_with_those_that_are_remembered(folder: Path) -> None:
    run(folder, chunk_tokens=40)
    with pytest.raises(InputError, match="overlap_tokens is 30; use 0 to 20"):
        run(folder, overlap_tokens=30, rebuild=True)
    found = remembered(folder)
    assert found is not None and found.overlap_tokens == 0


@given(
    st.builds(
        Recipe,
        reader=st.sampled_from(["auto", "pdfium", "pypdf"]),
        chunk_tokens=st.integers(0, 10**6),
        overlap_tokens=st.integers(0, 10**6),
        embedder=st.text(min_size=1),
        hidden=st.sampled_from(["drop", "keep"]),
    )
)
def test_a_recipe_is_its_text(recipe: Recipe) -> None:
    assert Recipe.parsed(str(recipe)) == recipe


@given(st.text())
def test_a_text_that_is_no_recipe_is_none(text: str) -> None:
    parsed = Recipe.parsed(text)
    assert parsed is None or str(parsed) == text


def test_rows_of_a_rebuild_are_those_of_all_sources(folder: Path) -> None:
    run(folder, chunk_tokens=40)
    told: list[int] = []
    rows = ingest(
        folder / "other",
        folder / "index",
        HashEmbedder(),
        settings=IngestSettings(chunk_tokens=60),
        rebuild=True,
        progress=Progress(on_files=told.append),
    )
    assert told == [3] == [len(rows)]


# ---- Headers of passages


def as_before_headers(folder: Path) -> None:
    """Make the index what ragctx 0.2 left: recipes that say nothing of headers."""
    with closing(sqlite3.connect(folder / "index" / DATABASE)) as connection, connection:
        for table, column in (("documents", "recipe"), ("meta", "value")):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, 'headers=yes ', '')"
            )


def titles(folder: Path) -> set[str]:
    index = Index.open(folder / "index")
    return {chunk.title for s in index.sources() for chunk in index.chunks(s.document_id)}


@pytest.mark.parametrize("headers", [True, False, None])
def test_a_recipe_tells_of_headers_and_reads_back(headers: bool | None) -> None:
    recipe = Recipe(
        reader="auto", chunk_tokens=180, overlap_tokens=0, embedder="m@1", headers=headers
    )
    assert Recipe.parsed(str(recipe)) == recipe
    assert ("headers=" in str(recipe)) == (headers is not None)


def test_a_new_index_has_headers_and_says_so(folder: Path) -> None:
    run(folder)
    found = remembered(folder)
    assert found is not None and found.headers is True


def test_an_index_of_before_headers_stays_as_it_is_until_a_rebuild(folder: Path) -> None:
    run(folder)
    as_before_headers(folder)
    assert run(folder) == ["a unchanged", "b unchanged"]
    run(folder, "other")
    found = remembered(folder)
    assert found is not None and found.headers is None
    assert sorted(run(folder, rebuild=True)) == ["a replaced", "b replaced", "c replaced"]
    found = remembered(folder)
    assert found is not None and found.headers is True


def test_headers_are_refused_or_left_out_like_any_setting(folder: Path) -> None:
    run(folder, headers=False)
    with pytest.raises(InputError, match=r"--no-headers, not --headers.*--headers --rebuild"):
        run(folder, headers=True)
    run(folder, rebuild=True)  # what was chosen stays
    found = remembered(folder)
    assert found is not None and found.headers is False and titles(folder) == {""}
