"""From a passive with its agent to the question that a person asks: who or what did it?

"The hall was rebuilt by Konrad Weiss after the fire" gives "Who rebuilt the hall after the fire?",
and not "By whom was …". Verbs whose active form is not certain give nothing.
"""

from __future__ import annotations

from ragctx.evaluation.questions.do_support import Verbs

_IRREGULAR = frozenset(
    "built rebuilt made led held won found sold paid told sent brought bought taught caught kept "
    "left lost met read set cut put hit shot fed bound struck understood".split()
)
"""Participles that are their verb's past form too, unlike "written"."""


def active(auxiliary: str, participle: str, verbs: Verbs) -> str | None:
    """The verb of an active question about the agent; None where it is not certain.

    `auxiliary` is that of the passive, and the subject of the question is in the singular.

    >>> verbs = Verbs(frozenset(("fund", "carry")))
    >>> active("was", "rebuilt", verbs), active("is", "funded", verbs)
    ('rebuilt', 'funds')
    >>> active("has been", "carried", verbs), active("must be", "carried", verbs)
    ('has carried', 'must carry')
    >>> active("was", "written", verbs)
    """
    if not (participle.endswith("ed") or participle in _IRREGULAR):
        return None
    first, _, been = auxiliary.partition(" ")
    if first in ("was", "were"):
        return None if been else participle
    if first in ("has", "have", "had"):
        return f"{'had' if first == 'had' else 'has'} {participle}" if been == "been" else None
    base = verbs.base_of(participle)
    if base is None or base[1] != "did":
        return None
    if first in ("is", "are"):
        return None if been else _third_person(base[0])
    return f"{first} {base[0]}" if been == "be" else None


def _third_person(base: str) -> str:
    if base.endswith(("s", "x", "z", "ch", "sh", "o")):
        return f"{base}es"
    if base.endswith("y") and base[-2:-1] not in tuple("aeiou"):
        return f"{base[:-1]}ies"
    return f"{base}s"
