"""Difficulty settings of the MAD tasks: the 66 published ones, one factor varied at a time."""

from collections.abc import Iterable
from typing import Any, Self

from pydantic import Field, model_validator

from evaluator.outcomes import Value
from variants.contract import TASKS, Task

NOISE_TOKENS = 16
MOTIF_SIZE = 3
SPECIAL_TOKENS: dict[Task, int] = {
    "Compress": 1,
    "Context Recall": 0,
    "Fuzzy Recall": 1,
    "Memorize": 1,
    "Noisy Recall": NOISE_TOKENS,
    "Selective Copy": 2,
}


class Setting(Value):
    """One difficulty of one task.

    `length` is the nominal length, in tokens; Context and Noisy Recall feed one token less, because their targets are
    the sequence shifted by one. `noise` is the share of noise pairs (Noisy Recall), `copies` the number of tokens to
    copy (Selective Copy).
    """

    task: Task
    vocabulary: int = Field(ge=4)
    length: int = Field(ge=4)
    train_examples: int = Field(ge=1)
    noise: float = Field(default=0.0, ge=0, lt=1)
    copies: int = Field(default=0, ge=0)

    @property
    def id(self) -> str:
        """Name of the setting within its task, e.g. `v16-l128-n12800`."""
        parts = [f"v{self.vocabulary}", f"l{self.length}", f"n{self.train_examples}"]
        if self.noise:
            parts.append(f"noise{self.noise:g}")
        if self.copies:
            parts.append(f"copy{self.copies}")
        return "-".join(parts)

    @property
    def fed_length(self) -> int:
        """Tokens that the model sees per sequence."""
        return self.length - (self.task in ("Context Recall", "Noisy Recall"))

    @property
    def content_tokens(self) -> int:
        """Tokens of the vocabulary that carry content; they are numbered first."""
        return self.vocabulary - SPECIAL_TOKENS[self.task]

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.task == "Selective Copy" and not 0 < 2 * self.copies < self.length:
            raise ValueError(f"copies must be between 1 and {(self.length - 1) // 2}, not {self.copies}")
        if self.task != "Selective Copy" and self.copies:
            raise ValueError(f"{self.task} copies nothing: leave copies at 0")
        if self.task != "Noisy Recall" and self.noise:
            raise ValueError(f"{self.task} has no noise: leave noise at 0")
        if self.task in ("Context Recall", "Noisy Recall", "Memorize") and self.length % 2:
            raise ValueError(f"{self.task} is made of pairs: length must be even, not {self.length}")
        smallest = 2 * MOTIF_SIZE if self.task == "Fuzzy Recall" else 2
        if self.content_tokens < smallest:
            raise ValueError(f"{self.task} leaves {self.content_tokens} content tokens: it needs {smallest}")
        if self.task == "Fuzzy Recall" and self.length + 1 < 4 * MOTIF_SIZE:
            raise ValueError(f"{self.task} needs a length of at least {4 * MOTIF_SIZE - 1}")
        return self


_BASELINES: dict[Task, Setting] = {
    "Compress": Setting(task="Compress", vocabulary=16, length=32, train_examples=12_800),
    "Context Recall": Setting(task="Context Recall", vocabulary=16, length=128, train_examples=12_800),
    "Fuzzy Recall": Setting(task="Fuzzy Recall", vocabulary=16, length=128, train_examples=12_800),
    "Memorize": Setting(task="Memorize", vocabulary=256, length=32, train_examples=256),
    "Noisy Recall": Setting(task="Noisy Recall", vocabulary=32, length=128, train_examples=12_800, noise=0.2),
    "Selective Copy": Setting(task="Selective Copy", vocabulary=16, length=256, train_examples=12_800, copies=16),
}

_FEWER_EXAMPLES = (6_400, 3_200, 1_600, 800)
_LONGER = (256, 512, 1_024)
_LARGER = (32, 64, 128)

_FACTORS: dict[Task, dict[str, tuple[Any, ...]]] = {
    "Compress": {"vocabulary": _LARGER, "length": (64, 128, 256), "train_examples": _FEWER_EXAMPLES},
    "Context Recall": {"vocabulary": _LARGER, "length": _LONGER, "train_examples": _FEWER_EXAMPLES},
    "Fuzzy Recall": {"vocabulary": _LARGER, "length": _LONGER, "train_examples": _FEWER_EXAMPLES},
    "Memorize": {"vocabulary": (512, 1_024, 2_048, 4_096, 8_192)},
    "Noisy Recall": {
        "vocabulary": (48, 80, 144),
        "length": _LONGER,
        "train_examples": _FEWER_EXAMPLES,
        "noise": (0.4, 0.6, 0.8),
    },
    "Selective Copy": {
        "vocabulary": _LARGER,
        "length": (512, 1_024),
        "train_examples": _FEWER_EXAMPLES,
        "copies": (32, 64, 96),
    },
}


def _vary(baseline: Setting, factors: dict[str, tuple[Any, ...]]) -> Iterable[Setting]:
    yield baseline
    for factor, values in factors.items():
        for value in values:
            yield Setting(**{**baseline.model_dump(), factor: value})


PUBLISHED: dict[Task, tuple[Setting, ...]] = {task: tuple(_vary(_BASELINES[task], _FACTORS[task])) for task in TASKS}
"""The 66 settings of the published leaderboard; each task's first is its baseline."""
