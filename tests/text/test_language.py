"""Laws of guessing a question's language: wrong about few, silent in doubt."""

from __future__ import annotations

import json

import pytest

from ragctx.text.language import foreign_language
from tests.support.paths import ROOT


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Combien de temps dure la garantie ?", "French"),
        ("Quel est le délai de préavis du contrat ?", "French"),
        ("Wie oft muss der Filter gereinigt werden?", "German"),
        ("¿Con qué frecuencia se debe limpiar el filtro?", "Spanish"),
        ("Quanto dura la garanzia del prodotto?", "Italian"),
        ("Qual é o prazo de garantia do produto?", "Portuguese"),
        ("Hoe vaak moet het filter worden schoongemaakt?", "Dutch"),
        ("필터는 얼마나 자주 청소해야 합니까?", "Korean"),
        ("フィルターはどのくらいの頻度で掃除しますか", "Japanese"),
        ("过滤器多久清洗一次？", "Chinese or Japanese"),
        ("Как часто нужно чистить фильтр?", "a language in Cyrillic letters"),
        ("كم مرة يجب تنظيف الفلتر؟", "a language in Arabic letters"),
    ],
)
def test_other_languages_are_recognised(question: str, language: str) -> None:
    assert foreign_language(question) == language


@pytest.mark.parametrize(
    "question",
    [
        "How often must the filter be cleaned?",
        "notice period",
        "",
        "??",
        "When did Ludwig van Beethoven write the Missa solemnis?",
        "What does the phrase \u201cque es la vida\u201d mean in the book?",
        "Who founded the Universidad de la República?",
        "Is 東京 the capital of Japan?",
        "What is the value of α and β in Table 2?",
        "DIN EN ISO 9001",
        "Who is the president of Rio de Janeiro?",
    ],
)
def test_english_is_left_alone(question: str) -> None:
    assert foreign_language(question) == ""


def test_no_question_about_the_samples_is_taken_for_foreign() -> None:
    files = sorted((ROOT / "examples").rglob("*.jsonl"))
    asked = [
        json.loads(line)["question"]
        for file in files
        for line in file.read_text("utf-8").splitlines()
        if "question" in line
    ]
    assert len(asked) > 50
    assert [question for question in asked if foreign_language(question)] == []
