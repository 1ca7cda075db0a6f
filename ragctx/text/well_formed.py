"""Text that can be encoded: a lone surrogate is half a character, which no file and no model holds.

Broken PDFs have them, JSON can escape them, and a command line that is not UTF-8 is read with them.
They are replaced where text comes in, so that what is counted is what is sent and what is shown.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    r"""The text with U+FFFD for each surrogate, so that offsets stay as they are.

    >>> well_formed("caf\udce9")
    'caf\ufffd'
    """
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
