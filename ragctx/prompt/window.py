"""A context window shared between prompt and answer, and what to change if something is too long.

Pure numbers: all are tokens of the generator's own tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragctx.arguments import require_whole
from ragctx.errors import InputError


@dataclass(frozen=True, slots=True)
class Window:
    """`budget_tokens` for the prompt and `max_new_tokens` for the answer fit in together."""

    context_window: int
    max_new_tokens: int
    budget_tokens: int

    def remedies(self, over_tokens: int) -> str:
        """The options that would make room for `over_tokens` more, and the value that each needs.

        >>> share_window(4096, 256, 3000).remedies(100)
        'raise --budget-tokens to 3100'
        >>> share_window(4096, 256).remedies(100)
        'raise --context-window to 4196 (if the model holds that) or lower --max-new-tokens to 156'
        >>> share_window(512, 400, 100).remedies(412)
        'raise --context-window to 912 (if the model holds that), and raise --budget-tokens to 512'
        """
        budget = self.budget_tokens + over_tokens
        beyond = budget + self.max_new_tokens - self.context_window
        if beyond <= 0:
            return f"raise --budget-tokens to {budget}"
        words = (
            f"raise --context-window to {self.context_window + beyond} (if the model holds that)"
        )
        if self.max_new_tokens > beyond:
            words += f" or lower --max-new-tokens to {self.max_new_tokens - beyond}"
        if self.budget_tokens == self.context_window - self.max_new_tokens:
            return words
        return f"{words}, and raise --budget-tokens to {budget}"


def share_window(
    context_window: int, max_new_tokens: int, budget_tokens: int | None = None
) -> Window:
    """The window with its shares; the prompt's is what the answer leaves unless it is given.

    Raises:
        InputError: a number is not positive, or they do not fit in the window together.

    >>> share_window(4096, 256).budget_tokens
    3840
    """
    require_whole("context_window", context_window, least=1)
    require_whole("max_new_tokens", max_new_tokens, least=1)
    if budget_tokens is not None:
        require_whole("budget_tokens", budget_tokens, least=1)
    budget = context_window - max_new_tokens if budget_tokens is None else budget_tokens
    if budget < 1 or budget + max_new_tokens > context_window:
        raise InputError(
            f"context_window is {context_window} tokens, but max_new_tokens {max_new_tokens} and "
            f"budget_tokens {max(1, budget)} need {max(1, budget) + max_new_tokens}. Lower "
            "--budget-tokens or --max-new-tokens, or raise --context-window."
        )
    return Window(context_window, max_new_tokens, budget)
