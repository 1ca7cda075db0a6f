"""Radicals of Chinese characters, which fonts give for the characters that look like them.

Many programs map the glyph of a character such as "長" to the radical "⻑", which looks the same
and is another letter to every search.
"""

from __future__ import annotations

import re
import unicodedata

_SUPPLEMENT = (
    "厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵⺚旡日月歺母民氵氺灬爫爫丬牛犭"
    "王𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶辶邑钅"
    "長镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
)
"""The character for each radical from U+2E81 on: Unicode Character Database 14.0,
EquivalentUnifiedIdeograph.txt. U+2E9A is not assigned and stands for itself."""

_RADICALS = re.compile("[\u2e81-\u2ef3\u2f00-\u2fd5]")


def without_radicals(text: str) -> str:
    """The text with characters for radicals.

    >>> without_radicals("\u2ed1\u2f42")
    '長文'
    """
    return _RADICALS.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    radical = match[0]
    if radical < "\u2f00":
        return _SUPPLEMENT[ord(radical) - 0x2E81]
    return unicodedata.normalize("NFKC", radical)
