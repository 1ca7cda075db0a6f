"""What each tool takes: the arguments by name, their limits, and what they are for."""

from __future__ import annotations

from ragctx.mcp_server.arguments import Flag, OneOf, Parameters, Share, Text, Texts, Whole
from ragctx.placement.strategies import STRATEGIES
from ragctx.retrieval import RETRIEVERS
from ragctx.selection.selectors import SELECTORS
from ragctx.server.bodies import MAX_K, MAX_QUESTION_CHARACTERS

MAX_SEARCH_K = 50
"""Passages of one search: each is some 200 tokens of what the agent can read."""
MAX_BUDGET_TOKENS = 1_000_000
TEMPLATES = ("context", "qa", "qa_question_first", "qa_question_both", "qa_by_document", "plain")
"""Built-in templates that models other than the bundled reader can read."""

QUESTION = Text(
    "What is asked, as a whole question that stands by itself.", MAX_QUESTION_CHARACTERS
)
WHERE: Parameters = {
    "documents": Texts(
        "Search only these: names as list_documents shows them, parts of names, patterns "
        "(*2023*.pdf) or ids."
    ),
    "first_page": Whole("Search only from this page on."),
    "last_page": Whole("Search only up to this page."),
}
SEARCH: Parameters = {
    "question": QUESTION,
    "k": Whole("Passages to give (default 5).", most=MAX_SEARCH_K),
    **WHERE,
    "retriever": OneOf("hybrid (default): by meaning and by words.", tuple(RETRIEVERS)),
}
ASK: Parameters = {
    "question": QUESTION,
    **WHERE,
    "k": Whole("Passages to read (default 5).", most=MAX_SEARCH_K),
    "strict": Flag("Answer only what is sure: no guesses."),
    "min_confidence": Share("Give no answer that is less sure."),
}
TOKENIZER = Text(
    "Whose tokens are counted: that of the model which will read the text. tiktoken:NAME, an "
    "encoding or a model of OpenAI's (tiktoken:o200k_base, tiktoken:gpt-4o); bundled, if you "
    "do not know yours (then leave a margin)."
)
ASSEMBLE: Parameters = {
    "question": QUESTION,
    "budget_tokens": Whole(
        "The most tokens that the text may take, everything included. 2000 is a good start.",
        most=MAX_BUDGET_TOKENS,
    ),
    "tokenizer": TOKENIZER,
    "template": OneOf(
        "context (default): the passages, under numbers with document and pages. The others are "
        "whole prompts, with instructions and the question.",
        TEMPLATES,
    ),
    "placement": OneOf(
        "The order of the passages. edges (default): the best at both ends, the weakest in the "
        "middle, which models read worst.",
        tuple(STRATEGIES),
    ),
    "k": Whole("Passages to choose from (default 20); more for a large budget.", most=MAX_K),
    **WHERE,
    "context_window": Whole(
        "All that the model holds, text and answer: then the text and max_new_tokens fit in.",
        most=2 * MAX_BUDGET_TOKENS,
    ),
    "max_new_tokens": Whole(
        "Tokens reserved for the model's answer, beside the budget (default 256).",
        most=MAX_BUDGET_TOKENS,
    ),
    "select": OneOf(
        "How to choose when not all fit; fill (default): the best first.", tuple(SELECTORS)
    ),
    "trim": Flag("Shorten the best passage that does not fit, at the end of a sentence."),
    "expand": Whole(
        "Chunks to show before and after each passage, as far as there is room.", 0, 20
    ),
}
READ_PAGE: Parameters = {
    "document": Text("Its name as search or list_documents shows it, or its id."),
    "page": Whole("Its number in the file, from 1."),
    "start": Whole("Character of the page to begin at; for a page that was cut.", 0),
}
LIST_DOCUMENTS: Parameters = {
    "name": Text("Only those with this in their name or path, or that match this pattern."),
    "start": Whole("How many to leave out; for a list that was cut.", 0),
}
