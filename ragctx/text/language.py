"""In which language a question is asked, as far as script and function words tell. Pure.

A small rule, good enough to explain a refusal. It does not recognise every language, and says
nothing where it is in doubt: then the question counts as English.
"""

from __future__ import annotations

import unicodedata
from collections import Counter

from ragctx.text.composition import composed
from ragctx.text.words import STOP_WORDS, WORD

_SCRIPTS = {
    "HANGUL": "Korean",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "CJK": "Chinese or Japanese",
    "CYRILLIC": "a language in Cyrillic letters",
    "GREEK": "Greek",
    "ARABIC": "a language in Arabic letters",
    "HEBREW": "Hebrew",
    "DEVANAGARI": "a language in Devanagari letters",
    "THAI": "Thai",
}
"""Languages by the first word of their letters' Unicode names."""

_FUNCTION_WORDS = {
    "French": "à au aux avec ce ces cette combien comment dans de des du elle en est et faut il "
    "ils je la le les leur lui mais nous où par pas pour pourquoi quand que quel quelle quelles "
    "quels qui quoi sans ses sont sur un une vous",
    "German": "als auch auf aus bei bis das dem den der des dürfen ein eine einem einen einer es "
    "für hat ich ist kann können mit muss nach nicht oder sich sie sind soll über um und von wann "
    "warum welche welcher welches wenn wer werden wie wieviel wird wo zu zum zur",
    "Spanish": "cómo con cuál cuáles cuándo cuánta cuánto cuántos de del dónde el ella en es está "
    "la las los más para por puede qué que quién se si sin son su sus un una y",
    "Italian": "che chi come con cosa da dei del della di dove è gli il la le nel nella non per "
    "perché più può quale quali quando quanta quanti quanto si sono un una",
    "Portuguese": "como com da das de do dos é em está não na nas no nos o onde os para pode por "
    "porque qual quais quando quanto quantos que quem são se um uma",
    "Dutch": "aan bij dat de deze een en er het hoe hoeveel is kan met moet naar niet om ook op "
    "te uit van voor waar waarom wanneer wat welk welke wie worden wordt zijn",
}
"""Words that hold a sentence together. Several languages may share one."""

_LEAST = 2
"""Function words that a question must have before it is said to be foreign: one can be a name or a
title ("the Louvre de Lens"). Chosen by hand."""


def foreign_language(text: str) -> str:
    """The language of `text` if it seems not to be English, else "".

    >>> (
    ...     foreign_language("Combien de temps dure la garantie ?"),
    ...     foreign_language("필터 청소 주기는?"),
    ... )
    ('French', 'Korean')
    >>> foreign_language("How long does the guarantee of Le Creuset de France last?")
    ''
    """
    return _by_script(text) or _by_words(text)


def _by_script(text: str) -> str:
    """The language if more than half of the letters are of a script that English does not use."""
    letters = [character for character in text if character.isalpha()]
    scripts = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in letters)
    foreign = {script: scripts[script] for script in _SCRIPTS if scripts[script]}
    if 2 * sum(foreign.values()) <= len(letters):
        return ""
    if "HIRAGANA" in foreign or "KATAKANA" in foreign:  # Japanese has mostly Chinese characters
        return "Japanese"
    return _SCRIPTS[max(foreign, key=lambda script: foreign[script])]


def _by_words(text: str) -> str:
    words = WORD.findall(composed(text).casefold())
    counts = {language: sum(word in known for word in words) for language, known in _KNOWN.items()}
    best = max(counts, key=lambda language: counts[language])
    english = sum(word in STOP_WORDS and word not in _KNOWN[best] for word in words)
    return best if counts[best] >= _LEAST and counts[best] > english else ""


_KNOWN = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
