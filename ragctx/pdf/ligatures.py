"""Text in which ligatures lost a letter: "signifcant", "offcer", "fnal". Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType

LIGATURES: Mapping[str, str] = MappingProxyType(
    {letters: letters for letters in ("ff", "fi", "fl", "ffi", "ffl")}
    | {"_".join(letters): letters for letters in ("ff", "fi", "fl", "ffi", "ffl", "Th", "tt", "ti")}
)
"""The letters of a ligature by the name that fonts give it (Adobe Glyph List, section 2)."""

_LACKING = re.compile(r"f[bcdghjkmnpqvwxz][a-z]")
_ENOUGH = 2
"""So many such places make a text suspicious: a few words have them rightly ("halfway", "Kafka"),
and a suspicion costs no more than a look at the fonts. Chosen by hand."""


def seems_to_lack_letters(text: str) -> bool:
    """Whether an f stands where hardly any word has one: before a consonant other than f, l, r, t.

    >>> seems_to_lack_letters("The offcer made a signifcant fnding.")
    True
    >>> seems_to_lack_letters("The officer left for the fifth floor, halfway up.")
    False
    """
    return len(list(islice(_LACKING.finditer(text), _ENOUGH))) == _ENOUGH


def is_cut(letters: str, mapped: str) -> bool:
    """Whether `mapped`, what a font's map says, is the ligature `letters` with letters missing.

    >>> is_cut("fi", "f"), is_cut("ffi", "fi"), is_cut("fi", "fi"), is_cut("fi", "ﬁ")
    (True, True, False, False)
    """
    return mapped != letters and mapped in letters
