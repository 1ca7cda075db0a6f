"""What the fields of a request are called by a server's model, learnt from what it refuses.

OpenAI's models that think want max_completion_tokens and no temperature; older servers know no
stream_options. None of them says so before it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REFUSES = re.compile(
    r"unsupported|not supported|does not support|unknown|unrecogni[sz]ed|unexpected|not permitted|"
    r"not allowed|extra (?:fields|inputs)|invalid|additional propert|only the default|use '",
    re.IGNORECASE,
)
_OPTIONAL = ("stream_options", "temperature", "max_tokens", "chat_template_kwargs")


class Dialect:
    """The fields that a model takes. Threads may share one: they all learn the same.

    >>> dialect = Dialect()
    >>> dialect.learn("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    'max_tokens'
    >>> dialect.fields({"max_tokens": 64, "temperature": 0})
    {'max_completion_tokens': 64, 'temperature': 0}
    """

    def __init__(self) -> None:
        self._refused: frozenset[str] = frozenset()

    def fields(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a request, but for those that were refused."""
        fields = {name: value for name, value in wanted.items() if name not in self._refused}
        if "max_tokens" in self._refused:
            fields = {"max_completion_tokens": wanted["max_tokens"], **fields}
        return fields

    def learn(self, words: str) -> str:
        """The field that a refusal is about and that can be done without; "" if there is none."""
        if not _REFUSES.search(words):
            return ""
        for name in _OPTIONAL:
            if name not in self._refused and re.search(rf"\b{name}\b", words):
                self._refused |= {name}
                return name
        return ""
