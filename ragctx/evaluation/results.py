"""What a finished comparison is: frozen records that say everything a report needs, as JSON too.

`Result.outcomes` holds one row per (condition, question). A *condition* is one way of asking, named
by a path: `strategy/edges`, `strategy/random#1`, `control/closed_book`, `control/gold_only`,
`position/20/4` (20 passages, the gold one in slot 4, counted from 0), `budget/1024`. Shares and
accuracies are 0 to 1; differences are shares too (0.05 = 5 points); times are seconds; costs are in
the currency the prices were given in, per question.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragctx.evaluation.json_records import record_from_json, record_to_json
from ragctx.evaluation.statistics.intervals import Interval

RESULT_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that is needed to run the comparison again."""

    ragctx_version: str
    command: str  # the command line, or "" when called from Python
    questions_file: str
    questions_sha256: str
    questions: int  # how many took part
    model: str
    model_hash: str
    decoding: str  # "greedy" unless the generator says otherwise
    template: str
    context_window: int
    max_new_tokens: int
    budget_tokens: int | None  # of the strategies' and positions' prompts; None: the window's
    source: str  # "passages of the file", "mined from the file's contexts", or the index's path
    k: int  # candidates per question
    retriever: str  # what ranked the candidates
    select: str
    baseline: str  # the strategy that all others are tested against
    seed: int
    resamples: int  # of bootstrap and permutations
    confidence: float  # of all intervals, e.g. 0.95
    profile: str  # the position profile that `calibrated` used, or ""
    price_prompt: float | None  # currency per million prompt tokens
    price_answer: float | None  # currency per million answer tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageRecord:
    """A passage that some prompt of a question held. `rank` counts from 1."""

    document: str
    first_page: int
    last_page: int
    rank: int
    text: str
    is_gold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRecord:
    """A question, its accepted answers and its passages. No answers: it should be refused."""

    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool
    synthetic: bool  # made from the documents, not asked by a person
    passages: tuple[PassageRecord, ...]
    first_gold_rank: int | None  # best rank of a passage that holds the answer; None: there is none


@dataclass(frozen=True, slots=True)
class CitationRecord:
    """One source of an answer. `is_gold`: the cited passage is one that holds the answer."""

    label: str
    status: str  # a records.CitationStatus
    is_gold: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One question under one condition.

    `correct` is what the tests count: best-subspan EM, and for a question without an answer,
    whether it was refused.
    """

    condition: str
    question: str  # QuestionRecord.id
    order: tuple[int, ...]  # the prompt's passages, as indices into QuestionRecord.passages
    passage_tokens: tuple[int, ...]  # of each, header included, in prompt order
    answer: str
    abstained: bool
    correct: bool
    best_subspan_em: float
    exact_match: float
    token_f1: float
    gold_in_prompt: bool | None  # False for a question without an answer
    citations: tuple[CitationRecord, ...]
    confidence: float | None
    prompt_tokens: int
    answer_tokens: int
    reused_tokens: int
    latency_s: float  # of the generator, prompt reading included, when it was first asked
    placement: str  # the strategy really used
    note: str  # why it was another than the one asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All questions under one condition. A share is None where nothing could count towards it."""

    condition: str
    label: str  # for people: "edges", "gold in slot 4 of 20", "1,024 tokens"
    n: int
    correct: Interval
    best_subspan_em: Interval  # over answerable questions, as the two below
    exact_match: Interval
    token_f1: Interval
    abstention_rate: float
    abstention_precision: float | None  # of the refusals, those whose prompt held no answer
    abstention_recall: float | None  # of the prompts that held no answer, those refused
    gold_in_prompt: float | None
    citation_verified: float | None  # of the answers given, those with a verified citation
    citation_correct: float | None  # … those that cite a passage which holds the answer
    mean_prompt_tokens: float
    mean_answer_tokens: float
    mean_reused_tokens: float
    mean_latency_s: float
    mean_cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Omnibus:
    """Do any of the conditions differ? Cochran's Q over `correct`."""

    statistic: float
    degrees_of_freedom: int
    p_value: float
    n: int
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTest:
    """Two conditions on the same questions. `difference` is accuracy of `first` - `second`."""

    first: str
    second: str
    n: int
    only_first: int  # questions that only the first got right
    only_second: int
    difference: Interval
    p_value: float  # exact McNemar
    p_adjusted: float  # Holm's, over the family of tests it belongs to
    significant: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Best minus worst accuracy over some conditions.

    Its value is above 0 even when nothing differs, so it is judged by what chance alone gives:
    `expected_by_chance` and `p_value` come from permuting each question's outcomes.
    """

    value: float
    low: float
    high: float
    expected_by_chance: float
    p_value: float
    best: str  # condition
    worst: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What so many questions show with 80 % power: exact McNemar, 5 % over all pairs."""

    n: int
    discordant: float  # share of questions on which two conditions disagree, as observed
    detectable_difference: float | None  # None: not even the largest possible one
    questions_for_5_points: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyComparison:
    """Placements side by side on the same passages, with the controls."""

    baseline: str  # condition
    summaries: tuple[Summary, ...]  # placements first, then controls
    omnibus: Omnibus | None  # over the placements; None with fewer than two
    spread: Spread | None
    pairs: tuple[PairTest, ...]  # each placement against the baseline
    power: Power | None
    recall_at_k: tuple[tuple[int, float], ...]  # a gold passage among the first k candidates
    verdict: str

    @property
    def controls(self) -> tuple[Summary, ...]:
        """The summaries of conditions that are not placements: those in no pair."""
        placements = {self.baseline, *(pair.first for pair in self.pairs)}
        return tuple(s for s in self.summaries if s.condition not in placements)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSweep:
    """Accuracy by where the gold passage stands among `passages`."""

    passages: int
    slots: tuple[int, ...]  # counted from 0; summaries[i] is for slots[i]
    summaries: tuple[Summary, ...]
    omnibus: Omnibus | None
    spread: Spread | None
    pairs: tuple[PairTest, ...]  # every pair of slots
    power: Power | None
    window_fill: float  # mean share of the context window that the prompts took
    skipped: int  # questions without a gold passage or without enough distractors
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSweep:
    """Accuracy, tokens, latency and cost by budget."""

    strategy: str
    budgets: tuple[int, ...]  # tokens of the whole prompt; summaries[i] is for budgets[i]
    summaries: tuple[Summary, ...]
    omnibus: Omnibus | None
    pairs: tuple[PairTest, ...]  # each budget against the largest
    power: Power | None
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished comparison."""

    format: int
    settings: Settings
    questions: tuple[QuestionRecord, ...]
    outcomes: tuple[Outcome, ...]
    strategies: StrategyComparison | None
    positions: tuple[PositionSweep, ...]
    budgets: BudgetSweep | None
    notes: tuple[str, ...]  # what a reader must know: fallbacks, skipped questions
    verdict: str  # one to three sentences

    def to_json(self) -> str:
        """One line of JSON."""
        return record_to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """The result that `to_json` wrote; InputError names what does not fit."""
        return record_from_json(cls, text)
