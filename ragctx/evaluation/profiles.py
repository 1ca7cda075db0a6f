"""A model's position profile on disk: how well it reads each part of the prompt, as measured.

Profiles are kept in `paths.cache_dir() / "profiles"`, one JSON file for each model, named by its
hash: other weights, another threshold or another decoding need another profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragctx import __version__
from ragctx.errors import InputError
from ragctx.evaluation.json_records import record_from_json, record_to_json
from ragctx.evaluation.results import Result
from ragctx.evaluation.statistics.intervals import Interval
from ragctx.evaluation.verdicts import ALPHA
from ragctx.paths import cache_dir, private_folder, write_whole
from ragctx.placement.orders import PositionProfile

PROFILE_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProfile:
    """A measured profile and what is needed to judge it. `accuracy[i]` belongs to `slots[i]`."""

    format: int
    ragctx_version: str
    model: str
    model_hash: str
    source: str  # the questions: "synthetic probes", or a file
    passages: int
    slots: tuple[int, ...]
    accuracy: tuple[Interval, ...]
    n: int  # questions, each asked in every slot
    window_fill: float  # mean share of the context window that the prompts took
    p_value: float  # Cochran's Q over the slots
    significant: bool
    seed: int
    verdict: str

    def for_placement(self) -> PositionProfile:
        """The part of the profile that the strategy `calibrated` needs."""
        accuracy = tuple(interval.value for interval in self.accuracy)
        return PositionProfile(self.model, accuracy, self.significant)


def profile_of(result: Result, source: str) -> StoredProfile:
    """The profile that a result's first position sweep shows; `source` describes its questions.

    Raises InputError for a result without a sweep of at least two slots.
    """
    if not result.positions or result.positions[0].omnibus is None:
        raise InputError(
            f"no question of {source} could be asked in every slot: give questions with a gold "
            "passage and enough distractors, fewer --passages, or a larger --context-window"
        )
    sweep = result.positions[0]
    p_value = sweep.omnibus.p_value if sweep.omnibus else 1.0
    return StoredProfile(
        format=PROFILE_FORMAT,
        ragctx_version=__version__,
        model=result.settings.model,
        model_hash=result.settings.model_hash,
        source=source,
        passages=sweep.passages,
        slots=sweep.slots,
        accuracy=tuple(summary.correct for summary in sweep.summaries),
        n=sweep.summaries[0].n,
        window_fill=sweep.window_fill,
        p_value=p_value,
        significant=p_value < ALPHA,
        seed=result.settings.seed,
        verdict=sweep.verdict,
    )


def profile_path(model_hash: str) -> Path:
    """The file of a model's profile unless another one is named."""
    return cache_dir() / "profiles" / f"{model_hash[:24]}.json"


def save_profile(profile: StoredProfile, path: Path | None = None) -> Path:
    """Write a profile, whole or not at all, and return its path."""
    if path is None:
        path = profile_path(profile.model_hash)
        private_folder(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, record_to_json(profile) + "\n")


def load_profile(path: Path) -> StoredProfile:
    """Read a profile. Raises InputError for a file that is missing or not a profile."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the profile {str(path)!r} cannot be read ({error}); measure one: ragctx probe"
        ) from None
    return record_from_json(StoredProfile, text)


def find_profile(model_hash: str) -> StoredProfile | None:
    """The profile measured for exactly this model, or None. Raises InputError if it is damaged."""
    path = profile_path(model_hash)
    profile = load_profile(path) if path.is_file() else None
    return profile if profile is not None and profile.model_hash == model_hash else None
