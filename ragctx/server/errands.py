"""What chat programs ask of a model on the side: a title for the chat, tags, what to ask next.

They are no questions to documents. Open WebUI sends them as chats of one message of their own form,
which says in which JSON the answer must be: it gets the first question as the title, and nothing
else, by rule.
"""

from __future__ import annotations

import json
import re

from ragctx.text.display import one_line

MAX_TITLE_CHARACTERS = 60

_ERRAND = re.compile(r"\A\s*### Task:.*<chat_history>(?P<history>.*)", re.DOTALL)
_ASKED_FOR = re.compile(
    r'"(?P<name>title|tags|follow_ups|queries|prompt|text)"\s*:\s*(?P<list>\[)?'
)
_FIRST_SAID = re.compile(r"USER:\s*(?P<said>.+)")


def errand_in(message: str) -> str | None:
    """The answer to an errand; None if the message is none.

    >>> errand_in(
    ...     '### Task: Generate a title.\\nJSON format: { "title": "your title here" }\\n'
    ...     "<chat_history>\\nUSER: How often is it oiled?\\nASSISTANT: Weekly.\\n</chat_history>"
    ... )
    '{"title": "How often is it oiled?"}'
    >>> errand_in("How often is it oiled?") is None
    True
    """
    errand = _ERRAND.match(message)
    if errand is None:
        return None
    asked_for = _ASKED_FOR.search(message[: errand.start("history")])
    name = asked_for["name"] if asked_for else "title"
    if asked_for and asked_for["list"]:
        return json.dumps({name: []})
    if name != "title":
        return json.dumps({name: ""})
    first = _FIRST_SAID.search(errand["history"])
    said = first["said"].removesuffix("</chat_history>") if first else ""
    return json.dumps({name: one_line(said, MAX_TITLE_CHARACTERS)}, ensure_ascii=False)
