"""Token ids to text, piece by piece, without cutting characters or decoding it all each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what decoders put for a character that is not whole yet
_PATIENCE = 8  # tokens without a whole character before waits double; no character takes more


class StopTexts:
    """Gives out what comes before the first of some texts, piece by piece.

    >>> given = []
    >>> until = StopTexts(("Question:",), given.append)
    >>> [until.push(piece) for piece in ("At 232. Quest", "ion: And")], given
    ([False, True], ['At 232. '])
    """

    def __init__(self, stops: Sequence[str], give: Callable[[str], None]) -> None:
        self._stops = tuple(stops)
        self._give = give
        self._pending = ""

    def push(self, piece: str) -> bool:
        """Take a piece; whether a stop text has come, after which there is no more to give."""
        self._pending += piece
        found = [at for stop in self._stops if (at := self._pending.find(stop)) >= 0]
        end = min(found) if found else len(self._pending) - self._begun()
        if end:
            self._give(self._pending[:end])
        self._pending = "" if found else self._pending[end:]
        return bool(found)

    def finish(self) -> None:
        """Give out what might have become a stop text and did not."""
        self._give(self._pending)
        self._pending = ""

    def _begun(self) -> int:
        """Characters at the end of what is pending with which a stop text may begin."""
        longest = min(len(self._pending), max(map(len, self._stops), default=1) - 1)
        sizes = range(longest, 0, -1)
        ends = (
            size for size in sizes if any(s.startswith(self._pending[-size:]) for s in self._stops)
        )
        return next(ends, 0)


class TextStream:
    """Turns token ids into pieces of text; the pieces, joined, are the text of all ids.

    (One exception: byte-fallback decoders, as Llama 2's, turn a whole run of bytes into
    replacement characters if its last byte is wrong. What was given out before stays.)

    A token may hold part of a character (byte-level and byte-fallback vocabularies), and some
    decoders treat the first token of a text differently (a leading space is dropped). So each
    step decodes a short window that begins one piece back, and gives out what the window has
    gained once it ends in a whole character. The window is a few tokens long, so a text of n
    tokens costs O(n).

    >>> words = {1: "to", 2: " be"}
    >>> stream = TextStream(lambda ids: "".join(words[i] for i in ids))
    >>> stream.push(1) + stream.push(2) + stream.finish()
    'to be'
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []  # tokens of the last piece given out, then the pending ones
        self._given = 0  # how many of them have been given out
        self._given_text = ""  # what those decode to, alone
        self._try_at = 1  # pending tokens at which decoding is tried next

    def push(self, token_id: int) -> str:
        """The text that this token completes; empty while a character is unfinished."""
        self._window.append(token_id)
        pending = len(self._window) - self._given
        if pending < self._try_at:
            return ""
        text = self._decode(self._window)
        if self._is_whole(text):
            return self._give_out(text)
        # A model can be made to emit broken bytes without end. Trying again at every token would
        # cost O(n²), so after a few tries each wait is twice as long as the one before.
        self._try_at = pending + 1 if pending < _PATIENCE else 2 * pending
        return ""

    def finish(self) -> str:
        """What is still pending, unfinished characters included. Call once, at the end."""
        if len(self._window) == self._given:
            return ""
        return self._decode(self._window)[len(self._given_text) :]

    def _is_whole(self, text: str) -> bool:
        return (
            len(text) > len(self._given_text)
            and text.startswith(self._given_text)
            and not text.endswith(_UNFINISHED)
        )

    def _give_out(self, text: str) -> str:
        piece = text[len(self._given_text) :]
        self._window = self._window[self._given :]
        self._given = len(self._window)
        self._given_text = self._decode(self._window)
        self._try_at = 1
        return piece
