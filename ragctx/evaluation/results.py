"""A finished comparison as frozen records: all that a report needs, written as JSON and read back.

`Result.outcomes` holds one row per (condition, question). A *condition* is one way of asking (see
`conditions.Condition`) and is referred to by its name: `strategy/edges`, `strategy/random#1`,
`control/closed_book`, `control/gold_only`, `position/20/4` (20 passages, the gold one in slot 4,
counted from 0), `budget/1024`, `grid/retriever=dense/k=5`. What a name stands for is in the fields
of the part it belongs to.

Shares and accuracies are 0 to 1; differences are shares too (0.05 = 5 points). Times are seconds.
Costs are per question, in the currency of the prices.
"""

from __future__ import annotations

from dataclasses import dataclass

from ragctx.evaluation.json_records import record_from_json, record_to_json
from ragctx.evaluation.statistics.intervals import Interval

RESULT_FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that is needed to run the comparison again."""

    ragctx_version: str
    command: str  # the command line, or "" when called from Python
    questions_file: str
    questions_sha256: str
    questions: int  # how many took part
    model: str
    model_spec: str  # where it is: "bundled", a directory, or the URL of a server, #name
    model_hash: str
    decoding: str  # "greedy", or the generator's decoding settings
    template: str
    context_window: int
    max_new_tokens: int
    budget_tokens: int | None  # of the strategies' and positions' prompts; None: the window's
    source: str  # "passages of the file", "mined from the file's contexts", or the index's path
    documents: tuple[str, ...]  # paths of the PDFs in the index; empty without one
    k: int  # candidates per question
    retriever: str  # what ranked the candidates
    select: str
    baseline: str  # the strategy that all others are tested against
    seed: int
    resamples: int  # of bootstrap and permutations
    confidence: float  # of all intervals, e.g. 0.95
    profile: str  # the position profile that `calibrated` used, or ""
    price_prompt: float | None  # currency per million prompt tokens
    price_answer: float | None  # the same for answer tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageRecord:
    """A passage that was in some prompt of a question. `rank` counts from 1."""

    document: str
    first_page: int | None  # None where it is not known
    last_page: int | None
    rank: int
    text: str
    is_gold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRecord:
    """A question, its accepted answers and its passages. Without answers it should be refused."""

    id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool
    synthetic: bool  # made from the documents, not asked by a person
    passages: tuple[PassageRecord, ...]
    first_gold_rank: int | None  # best rank of a passage that holds the answer, if any does


@dataclass(frozen=True, slots=True)
class CitationRecord:
    """One citation in an answer. `is_gold`: whether the cited passage holds the right answer."""

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
    latency_s: float  # of the generator when it was first asked; what it had read before helped
    placement: str  # the strategy that was used
    note: str  # why another prompt was asked than the condition's; "" where it was the condition's


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All questions under one condition. A share is None where it would be a share of nothing."""

    condition: str
    label: str  # for people: "edges", "slot 4 of 20", "1,024 tokens"
    n: int
    correct: Interval
    best_subspan_em: Interval  # over answerable questions, as the two below
    exact_match: Interval
    token_f1: Interval
    abstention_rate: float
    abstention_precision: float | None  # of the refusals, those to prompts without the answer
    abstention_recall: float | None  # of the prompts without the answer, those refused
    gold_in_prompt: float | None  # of the answerable questions
    citation_verified: float | None  # of the answers, those with a verified citation
    citation_correct: float | None  # of the answers, those that cite a passage with the answer
    mean_prompt_tokens: float
    mean_answer_tokens: float
    mean_reused_tokens: float
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
    """Two conditions on the same questions. `difference` is accuracy of `first` minus `second`."""

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
    """Best minus worst accuracy over some conditions, with its interval.

    The value is above 0 even when nothing differs, so it is judged against what chance alone gives:
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
    """What `n` questions can show with 80 % power: McNemar's exact test, 5 % over all pairs."""

    n: int
    discordant: float  # observed share of questions on which two conditions disagree, in the mean
    detectable_difference: float | None  # None where not even the largest possible one is
    questions_for_5_points: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyComparison:
    """Placements side by side on the same passages, with the controls."""

    baseline: str  # condition
    summaries: tuple[Summary, ...]  # placements first, then controls
    omnibus: Omnibus | None  # over the placements; None with fewer than two
    spread: Spread | None
    pairs: tuple[PairTest, ...]  # each placement against the baseline
    control_pairs: tuple[PairTest, ...]  # each control against the baseline, on the same questions
    power: Power | None
    recall_at_k: tuple[tuple[int, float], ...]  # (k, share with a gold one among the first k)
    verdict: str

    @property
    def controls(self) -> tuple[Summary, ...]:
        """The summaries of conditions that are not placements: those in no pair."""
        placements = {self.baseline, *(pair.first for pair in self.pairs)}
        return tuple(s for s in self.summaries if s.condition not in placements)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSweep:
    """Accuracy by the slot of the gold passage among `passages`."""

    passages: int
    slots: tuple[int, ...]  # counted from 0; summaries[i] is for slots[i]
    summaries: tuple[Summary, ...]
    controls: tuple[Summary, ...]  # over the questions of the sweep
    omnibus: Omnibus | None
    spread: Spread | None
    pairs: tuple[PairTest, ...]  # every pair of slots
    power: Power | None
    window_fill: float  # mean share of the context window that the prompts took
    skipped: int  # questions without a gold passage or without enough distractors
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long a question takes under a condition, in seconds of the generator.

    Medians over `n` questions, the same ones under every condition; `difference` is the median over
    questions of this condition minus the one it is compared with, None for that one itself.
    """

    condition: str
    n: int
    seconds: Interval
    difference: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSweep:
    """Accuracy, tokens, latency and cost by budget."""

    strategy: str
    budgets: tuple[int, ...]  # tokens of the whole prompt; summaries[i] is for budgets[i]
    summaries: tuple[Summary, ...]
    omnibus: Omnibus | None
    pairs: tuple[PairTest, ...]  # each budget against the largest
    latencies: tuple[Latency, ...]  # of each budget; empty where too few questions were timed
    power: Power | None
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GridAxis:
    """A choice that a grid varies, e.g. "retriever", and its values; the first is the base."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridComparison:
    """Every combination of some choices, each against the first one."""

    axes: tuple[GridAxis, ...]
    cells: tuple[tuple[str, ...], ...]  # a value of each axis; summaries[i] is for cells[i]
    summaries: tuple[Summary, ...]
    omnibus: Omnibus | None
    pairs: tuple[PairTest, ...]  # each combination against the first
    power: Power | None
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionChange:
    """One condition now and in a saved run.

    In `test` this run is the first, the saved one the second; both have the condition's name.
    """

    label: str
    now: Interval  # accuracy
    before: Interval
    test: PairTest
    is_worse: bool  # measurably, and by more than the margin


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstRun:
    """This run beside a saved one: the same questions under the same conditions."""

    path: str  # of the saved result
    margin: float  # a share: smaller drops are no fault
    settings: tuple[str, ...]  # in which the two runs differ, e.g. "model: a, was b"
    conditions: tuple[ConditionChange, ...]
    power: Power | None
    verdict: str

    @property
    def is_worse(self) -> bool:
        """Whether any condition is worse."""
        return any(condition.is_worse for condition in self.conditions)


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
    grid: GridComparison | None
    against: AgainstRun | None
    notes: tuple[str, ...]  # what a reader of the numbers must know, e.g. fallbacks
    verdict: str  # a sentence for each part
    recommendation: str  # what to do, as far as the tests tell, and what they do not tell

    def to_json(self) -> str:
        """One line of JSON."""
        return record_to_json(self)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """The result that `to_json` wrote. Raises InputError that names the field that is wrong."""
        return record_from_json(cls, text)
