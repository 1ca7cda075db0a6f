"""A certainty fitted to a user's own questions, on disk and in the reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragctx.errors import InputError
from ragctx.evaluation.certainty import (
    Guessed,
    StoredCertainty,
    fit,
    guess_all,
    is_right,
    load_certainty,
    save_certainty,
)
from ragctx.evaluation.datasets import read_questions
from ragctx.generator.reader.certainty import Certainty, Signs
from ragctx.index.index import Index
from ragctx.retrieval import Retrieval


def guesses(n: int) -> list[Guessed]:
    """Guesses of all confidences, the surer half of them right."""
    shares = [(i + 0.5) / n for i in range(n)]
    return [Guessed(signs=Signs(p, p), right=p > 0.5) for p in shares]


def stored() -> StoredCertainty:
    return fit(guesses(60), "reader@1", "mine.jsonl")


def test_a_fit_tells_how_good_it_is_on_questions_that_it_has_not_seen() -> None:
    fitted = stored()
    assert (fitted.n, fitted.right) == (60, 30)
    assert 0 < fitted.sure <= 34 and fitted.sure_right >= 0.85 * fitted.sure
    assert fitted.refused and fitted.refused_right <= 0.2 * fitted.refused
    certainty = fitted.certainty()
    assert certainty.of(Signs(0.95, 0.95)) >= certainty.sure_from
    assert certainty.of(Signs(0.05, 0.05)) < certainty.answer_from


@pytest.mark.parametrize(
    ("guessed", "remedy"),
    [
        (guesses(12), "give at least 30"),
        ([replace(one, right=False) for one in guesses(40)], "none of the 40 best guesses"),
        ([replace(one, right=True) for one in guesses(40)], "each of the 40 best guesses"),
    ],
)
def test_what_cannot_be_fitted_says_why(guessed: list[Guessed], remedy: str) -> None:
    with pytest.raises(InputError, match=remedy):
        fit(guessed, "reader@1", "mine.jsonl")


def test_a_certainty_survives_the_disk_and_belongs_to_one_reader(tmp_path: Path) -> None:
    path = save_certainty(stored(), tmp_path / "new" / "certainty.json")
    assert load_certainty(path, "reader@1") == stored()
    with pytest.raises(InputError, match=r"was fitted to reader@1, but reader@2 answers"):
        load_certainty(path, "reader@2")
    path.write_text("{}", "utf-8")
    with pytest.raises(InputError):
        load_certainty(path, "reader@1")
    with pytest.raises(InputError, match="ragctx calibrate"):
        load_certainty(tmp_path / "none.json", "reader@1")


def test_right_guesses_may_say_a_little_more() -> None:
    assert is_right("within 30 days", ["30 days"])
    assert not is_right("60 days", ["30 days"])
    assert not is_right("", ["30 days"])
    assert not is_right("30 days " + "and much else besides " * 5, ["30 days"])


@pytest.mark.slow
def test_the_bundled_reader_is_asked_as_users_ask_it(tmp_path: Path, samples: Path) -> None:
    from ragctx.embedding import load_embedder
    from ragctx.generator.reader.reader import load_bundled
    from ragctx.ingestion import ingest

    embedder, reader = load_embedder(), load_bundled()
    index = Index.open_or_create(tmp_path / "index", embedder=embedder)
    ingest([samples / "field-station-manual.pdf"], index, embedder)
    questions = read_questions(samples / "questions.jsonl").questions[:6]
    seen: list[int] = []
    guessed = guess_all(questions, index, embedder, reader, Retrieval(k=5), on_guess=seen.append)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert any(one.right for one in guessed)
    reader.trust(Certainty(answer_from=1.0))
    # the signs do not depend on what is made of them
    again = guess_all(questions[:1], index, embedder, reader, Retrieval(k=5))
    assert again == guessed[:1]
