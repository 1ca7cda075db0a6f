"""Fonts of signs instead of letters: which Unicode character each code of theirs looks like.

Word sets its bullets, ticks and arrows from Symbol and Wingdings. In a PDF these are codes of
Unicode's private use area (U+F0B7), which mean nothing outside of their font, or even the letters
of a text ("ü" for a tick). The tables are Microsoft's and Adobe's; where Unicode has the very sign
only in a rare block, the usual character for it is given. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

Signs = Mapping[int, str]
"""The character for a code, 32 to 255."""


def _table(first: int, characters: str) -> dict[int, str]:
    """Codes from `first` on; a space is no sign."""
    return {code: sign for code, sign in enumerate(characters, first) if sign != " "}


SYMBOL: Signs = MappingProxyType(
    _table(
        0x21,
        "!∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖω",
    )
    | _table(0x78, "ξψζ{|}∼")
    | _table(
        0xA0, "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪"
    )
    | _table(0xF1, "〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭")
)
WINGDINGS: Signs = MappingProxyType(
    _table(0x21, "✏✂✁👓🔔📖🕯☎✆✉📩📪📫📬📭📁📂📄📃📑🗄⌛⌨🖱🖲💻🖴💾🖬✇✍")
    | _table(0x40, "✍✌👌👍👎☜☞☝☟🖐☺😐☹💣☠⚐⚑✈☼💧❄✝✞✟✠✡☪☯ॐ☸♈♉♊♋♌♍♎♏♐♑♒♓")
    | _table(0x6A, "&&●❍■□❐❑❒⬧⧫◆❖⬥⌧⍓⌘❀✿“”")
    | _table(0x80, "⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿")
    | _table(0x9E, "·•▪○◉◉◉◎◯▪◻◆✦★✶✴✹✵")
    | _table(0xB0, "⌖⌖⟡⌑⟐✪✰🕐🕑🕒🕓🕔🕕🕖🕗🕘🕙🕚🕛↰↱↲↳↴↵↶↷")
    | _table(0xD5, "⌫⌦➢➢➢➢➲➲➲➲←→↑↓↖↗↙↘←→↑↓↖↗↙↘⇦⇨⇧⇩⬄⇳⬁⬀⬃⬂▭▫✗✓☒☑⊞")
)
WINGDINGS_2: Signs = MappingProxyType(
    _table(0x4F, "✗✓☒☑☒☒") | _table(0x95, "•••●") | _table(0x9E, "•▪■") | {0xA3: "□", 0xAE: "◆"}
)
WINGDINGS_3: Signs = MappingProxyType(
    _table(0x66, "←→↑↓↖↗↙↘") | _table(0x70, "▲▼") | {0x7D: "▶", 0x84: "◀"}
)
WEBDINGS: Signs = MappingProxyType(
    _table(0x33, "◀▶▲▼")
    | {0x61: "✔", 0x63: "□", 0x67: "■", 0x69: "ℹ", 0x6E: "●", 0x72: "✖", 0x3D: "●"}
)

CMEX: Signs = MappingProxyType(
    _table(0x00, "()[]⌊⌋⌈⌉{}⟨⟩|‖/\\")
    | _table(0x10, "()()[]⌊⌋⌈⌉{}⟨⟩/\\()[]⌊⌋⌈⌉{}⟨⟩/\\/\\")
    | _table(
        0x30, "⎛⎞⎡⎤⎣⎦⎢⎥⎧⎫⎩⎭⎨⎬⎪|⎝⎠⎜⎟⟨⟩⊔⊔∮∮⊙⊙⊕⊕⊗⊗∑∏∫⋃⋂⊎⋀⋁∑∏∫⋃⋂⊎⋀⋁∐∐^^^~~~[]⌊⌋⌈⌉{}√√√√√√√‖↑↓⏞⏞⏟⏟⇑⇓"
    )
)
"""TeX's large operators and brackets: in most PDFs their font names no letters for its codes, and
a sum would be read as "X", a brace as "n"."""

_FONTS: tuple[tuple[str, Signs], ...] = (
    ("cmex", CMEX),
    ("wingdings2", WINGDINGS_2),
    ("wingdings3", WINGDINGS_3),
    ("wingdings", WINGDINGS),
    ("webdings", WEBDINGS),
    ("symbol", SYMBOL),
)
_SUBSET = re.compile(r"\A[A-Z]{6}\+")
_NAMED = re.compile(r"[^a-z0-9]")

_ADOBE = _table(0xF8E7, "⎯®©™⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪⎮⎞⎟⎠⎤⎥⎦⎫⎬⎭")
"""What Adobe's glyph list has in the private use area: parts of large brackets."""
_COMMON = {
    0xF000 + code: WINGDINGS[code] for code in (0xA7, 0xA8, 0xD8, 0xE0, 0xFB, 0xFC, 0xFD, 0xFE)
}
_KNOWN = MappingProxyType({**_ADOBE, **_COMMON, 0xF0B7: "•"})
"""What hardly ever means anything else, in whatever font."""
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]")
_RUN = re.compile(f"{_PRIVATE.pattern}+")


@lru_cache(maxsize=1024)
def signs_of(font: str) -> Signs | None:
    """The signs of a font by its name; None for a font of letters.

    >>> (signs_of("ABCDEF+Wingdings-Regular") or {})[0xFC], signs_of("SegoeUISymbol")
    ('✓', None)
    """
    name = _NAMED.sub("", _SUBSET.sub("", font).lower())
    return next((signs for known, signs in _FONTS if name.startswith(known)), None)


def sign(code: int, signs: Signs | None) -> str:
    """The character for a code that a PDF gives, in a font with these signs.

    What a font of pictures has and no table knows is put among the private codes.

    >>> sign(0xF0B7, SYMBOL), sign(ord("ü"), WINGDINGS), sign(ord("ü"), None), sign(0x3B1, SYMBOL)
    ('•', '✓', 'ü', 'α')
    """
    if signs is None:
        return chr(code)
    if 0xF020 <= code <= 0xF0FF:
        return signs.get(code - 0xF000, chr(code))
    if signs is SYMBOL or code > 0xFF:  # libraries know Symbol's own codes
        return chr(code)
    if code <= 0x20:
        return signs.get(code, chr(code))
    return signs.get(code, chr(0xF000 + code))


def with_signs(codes: str, signs: Signs | None) -> str:
    """What codes of a font with these signs stand for."""
    return codes if signs is None else "".join(sign(ord(code), signs) for code in codes)


def private_count(text: str) -> int:
    """How many characters of a text are private codes that nobody knows.

    >>> private_count("\\uf0b7 one \\ue001")
    1
    """
    return sum(character not in _BY_CHARACTER for character in _PRIVATE.findall(text))


def without_private(text: str) -> str:
    """The text with characters for the private codes that are known, without the others.

    Where one is part of a word, U+FFFD tells that something is missing.

    >>> without_private("\\uf0b7 one"), without_private("\\ue001 di\\ue001cult")
    ('• one', ' di\\ufffdcult')
    """
    if not _PRIVATE.search(text):
        return text
    known = _PRIVATE.sub(lambda match: _BY_CHARACTER.get(match[0], match[0]), text)
    return _RUN.sub(_mark, known)


def _mark(run: re.Match[str]) -> str:
    """What stands for codes that nobody knows: a mark within a word, else nothing."""
    around = (
        run.string[max(0, run.start() - 1) : run.start()] + run.string[run.end() : run.end() + 1]
    )
    return "\ufffd" if any(letter.isalnum() or letter == "_" for letter in around) else ""


_BY_CHARACTER = MappingProxyType({chr(code): character for code, character in _KNOWN.items()})
