"""How sure the reader may be of answers about real PDFs: what an export writes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.answer_judge import is_right
from benchmarks.dev_set import DevQuestion
from ragctx.embedding import load_embedder
from ragctx.generator.reader.certainty import Signs, certainty_of, fit_certainty
from ragctx.generator.reader.reader import load_bundled
from ragctx.index.index import Index
from ragctx.ingestion import ingest
from training.certainty import (
    certainty_entry,
    fit_to_documents,
    held_out_questions,
    judged_on,
    put_written,
)
from training.common import load_config
from training.written import WrittenDocument, WrittenPassage

METALS = ("tin", "lead", "zinc", "iron", "silver", "nickel", "copper", "cobalt")


def test_without_pdfs_nothing_is_fitted_and_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(load_config(), pdfs=tmp_path)
    assert fit_to_documents(load_bundled(), config, load_embedder()) == {}
    assert f"no PDFs in {tmp_path}" in capsys.readouterr().err


def test_some_of_the_pdfs_are_not_taken_for_all(tmp_path: Path) -> None:
    (tmp_path / "another.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(SystemExit, match="not in"):
        fit_to_documents(load_bundled(), replace(load_config(), pdfs=tmp_path), load_embedder())


def test_it_is_fitted_to_the_guesses_about_what_the_search_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each metal's melting point is told, no metal's first seller: the fit tells them apart."""
    reader, embedder = load_bundled(), load_embedder()
    (tmp_path / "metals.md").write_text("\n\n".join(sections()), "utf-8")
    index = Index.open_or_create(tmp_path / "index", embedder=embedder)
    ingest([tmp_path / "metals.md"], index, embedder)
    guesses: list[tuple[str, Signs]] = []
    guess = reader.guess

    def noted(prompt: object) -> tuple[str, Signs]:
        guesses.append(guess(prompt))  # type: ignore[arg-type]
        return guesses[-1]

    monkeypatch.setattr(reader, "guess", noted)
    asked, before = list(questions()), reader.certainty
    written = certainty_entry(list(judged_on(reader, index, embedder, asked)))
    assert reader.certainty == before  # it is written, not used on the way
    right = [is_right(text, one) for (text, _), one in zip(guesses, asked, strict=True)]
    assert sum(right) >= 6 and not any(right[len(METALS) :])
    plain = fit_certainty([signs for _, signs in guesses], right)
    certainty = certainty_of(written["certainty"], threshold=0.0)
    assert certainty.weights == plain.weights and certainty.sure_from == plain.sure_from
    assert certainty.answer_from == pytest.approx(plain.answer_from, abs=1e-4)


def test_written_questions_are_asked_beside_all_documents_and_with_theirs_gone(
    tmp_path: Path,
) -> None:
    texts = [section.partition("\n\n")[2] for section in sections()]
    documents = [
        WrittenDocument(
            name=name,
            title="",
            passages=[
                WrittenPassage(
                    text=text,
                    questions=[(f"At how many degrees does {metal} melt?", [str(200 + 31 * i)])],
                )
            ],
        )
        for i, (metal, text) in enumerate(zip(METALS, texts, strict=True))
        for name in [next(f"{metal} {n}" for n in range(99) if _is_held_out(f"{metal} {n}"))]
    ]
    embedder = load_embedder()
    index = Index.open_or_create(tmp_path / "index", embedder=embedder)
    put_written(index, embedder, documents)
    asked = list(held_out_questions(documents))
    assert len(asked) == len(METALS)
    documents[0].passages[0].unanswered.append("Who sells the ore?")
    *_, nowhere = sorted(held_out_questions(documents), key=lambda one: one.kind)
    assert (nowhere.question, nowhere.answerable) == ("Who sells the ore?", False)
    assert len(list(judged_on(load_bundled(), index, embedder, [nowhere], gone_every=1))) == 1
    judged = list(judged_on(load_bundled(), index, embedder, asked, gone_every=2))
    assert len(judged) == 12
    gone = [1, 4, 7, 10]  # after the question it belongs to
    assert not any(judged[i][1] for i in gone)
    there = [right for i, (_, right) in enumerate(judged) if i not in gone]
    assert sum(there) >= 6
    certain = [signs.held for i, (signs, _) in enumerate(judged) if i not in gone]
    assert min(certain) > max(judged[i][0].held for i in gone)


def _is_held_out(name: str) -> bool:
    return WrittenDocument(name=name, title="").is_held_out


def sections() -> Iterator[str]:
    for i, metal in enumerate(METALS):
        yield (
            f"# {metal.capitalize()}\n\nThe ore is washed. {metal.capitalize()} melts at "
            f"{200 + 31 * i} degrees, as every smith knows."
        )


def questions() -> Iterator[DevQuestion]:
    for i, metal in enumerate(METALS):
        yield DevQuestion(
            id=f"melts-{metal}",
            half="choose",
            kind="number",
            question=f"At how many degrees does {metal} melt?",
            answers=(f"{200 + 31 * i}", f"{200 + 31 * i} degrees"),
        )
    for metal in METALS:
        yield DevQuestion(
            id=f"seller-{metal}",
            half="choose",
            kind="unanswerable",
            question=f"Who was the first to sell {metal} to Peru?",
        )
