"""How much an answer depends on each passage."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much an answer depends on a passage: its log-probability with the passage and without.

    `without` is -inf if no other passage that was read contains the answer.
    """

    label: str
    log_probability: float
    without: float

    @property
    def probability_lost(self) -> float:
        """How much less probable the answer is without the passage; negative: it stood in the way.

        >>> round(Attribution("1", -0.1, float("-inf")).probability_lost, 3)
        0.905
        """
        return math.exp(self.log_probability) - math.exp(self.without)
