"""What a task is: how its examples are drawn, which model learns them, and all that anybody says of it.

A task is one file of this folder and one line of `registry.py`. Tables, prompts, statistics and the site follow.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from evaluator.tasks.examples import SPLITS, Examples, Split
from evaluator.values import Value
from variants.contract import CHUNK_SIZE

Suite = Literal["mad", "recall+"]
Backbone = Literal["language_model", "autoencoder"]
Streams = Callable[[str], np.random.Generator]
"""Random numbers for a purpose, independent of those for any other."""

FEWER_EXAMPLES = (6_400, 3_200, 1_600, 800)
LONGER = (256, 512, 1_024)
LARGER = (32, 64, 128)
"""Values that the published suite varies one at a time."""


class Setting(Value):
    """One difficulty of one task. `Task.setting` makes one that is possible.

    `length` is the nominal length, in tokens; a task that is `shifted` feeds one less. `noise` is the share of noise
    pairs (Noisy Recall), `copies` the number of tokens to copy. `options`: what no other task has, by name.
    """

    task: str
    vocabulary: int = Field(ge=4)
    length: int = Field(ge=4)
    train_examples: int = Field(ge=1)
    noise: float = Field(default=0.0, ge=0, lt=1)
    copies: int = Field(default=0, ge=0)
    options: tuple[tuple[str, int], ...] = ()

    @property
    def id(self) -> str:
        """Name of the setting within its task, e.g. `v16-l128-n12800`."""
        parts = [f"v{self.vocabulary}", f"l{self.length}", f"n{self.train_examples}"]
        if self.noise:
            parts.append(f"noise{self.noise:g}")
        if self.copies:
            parts.append(f"copy{self.copies}")
        return "-".join([*parts, *(f"{name}{value}" for name, value in self.options)])

    def option(self, name: str) -> int:
        """An option of this setting. Raises KeyError where it has none of that name."""
        return dict(self.options)[name]

    @model_serializer(mode="wrap")
    def _without_empty_options(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A protocol's hash is over its settings: those without options are written as before there were any."""
        fields: dict[str, Any] = serialise(self)
        if not self.options:
            del fields["options"]
        return fields


class TaskPlan(Value):
    """How one task is trained and tested: its settings, the optimiser grid, and either steps or epochs."""

    settings: tuple[Setting, ...] = Field(min_length=1)
    lr: tuple[float, ...] = Field(min_length=1)
    weight_decay: tuple[float, ...] = Field(min_length=1)
    batch: int = Field(ge=1)
    steps: int | None = None
    epochs: int | None = None
    test_examples: int = Field(ge=1)
    cuts: int = Field(ge=1)
    """Predictions counted per test sequence, each made with its future replaced (an autoencoder counts all)."""
    chunk_size: int = Field(default=CHUNK_SIZE, ge=1)
    """Positions in a chunk of the kernel; short sequences need short chunks to have several."""

    @model_validator(mode="after")
    def _one_duration(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs, one of them")
        return self

    def steps_of(self, setting: Setting) -> int:
        """Training steps at a setting."""
        return self.steps if self.steps is not None else (self.epochs or 0) * self.epoch_of(setting)

    def epoch_of(self, setting: Setting) -> int:
        """Steps in one pass over the training examples; a smaller last batch counts."""
        return -(-setting.train_examples // self.batch)


@dataclass(frozen=True)
class Task:
    """A task. Raises ValueError for a setting of its own that is not possible.

    name: in tables, files and options. short: the same where there is little room. words: how people write it, a
    regular expression. elsewhere: what other projects' tables call it. about: what it asks for, in a prompt.
    counts: which predictions are scored.
    draw: `count` examples of a split, given the streams of random numbers of a setting and seed.
    special_tokens: of the vocabulary, its last ones; the others carry content and are numbered first.
    shifted: targets are the next token, so that one token less than `length` is fed.
    stretch: test sequences are so many times as long as training sequences, and have so many times the copies: `draw`
    gets the setting at the size of the split.
    noise, copies: whether its settings have them. problem: why a setting is not possible, empty if it is.
    published: its settings in the published suite. plans: how protocols train it, by their names.
    """

    name: str
    short: str
    suite: Suite
    words: str
    about: str
    counts: str
    draw: Callable[[Setting, Split, int, Streams], Examples]
    special_tokens: int
    elsewhere: tuple[str, ...] = ()
    backbone: Backbone = "language_model"
    shifted: bool = False
    stretch: int = 1
    noise: bool = False
    copies: bool = False
    problem: Callable[[Setting], str] = lambda _: ""
    published: tuple[Setting, ...] = ()
    plans: Mapping[str, TaskPlan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.stretch < 1 or (self.stretch > 1 and self.backbone == "autoencoder"):
            raise ValueError(f"{self.name}: an autoencoder decodes to the length that it was trained at: stretch is 1")
        for setting in (*self.published, *(setting for plan in self.plans.values() for setting in plan.settings)):
            self._require_possible(setting)

    def setting(self, **fields: Any) -> Setting:
        """A setting of this task. Raises ValueError for one that is not possible."""
        made = Setting(task=self.name, **fields)
        self._require_possible(made)
        return made

    def sized(self, setting: Setting, split: Split) -> Setting:
        """The setting at the size of a split: in test, length and copies are `stretch` times what they are in training.

        What chooses an epoch has the size of the training sequences: longer ones are for the test alone.
        """
        if self.stretch == 1 or split != "test":
            return setting
        longer = {"length": setting.length * self.stretch, "copies": setting.copies * self.stretch}
        return setting.model_copy(update=longer)

    def fed_length(self, setting: Setting, split: Split = "train") -> int:
        """Tokens that the model sees per sequence."""
        return self.sized(setting, split).length - self.shifted

    def content_tokens(self, setting: Setting) -> int:
        """Tokens of the vocabulary that carry content."""
        return setting.vocabulary - self.special_tokens

    def _require_possible(self, setting: Setting) -> None:
        if setting.task != self.name:
            raise ValueError(f"a setting of {setting.task} is none of {self.name}")
        for name, meant in (("noise", self.noise), ("copies", self.copies)):
            if getattr(setting, name) and not meant:
                raise ValueError(f"{self.name} has no {name}: leave {name} at 0")
        if setting.vocabulary - self.special_tokens < 2:
            raise ValueError(f"{self.name}: {setting.id} leaves fewer than 2 content tokens")
        for split in SPLITS:
            if found := self.problem(self.sized(setting, split)):
                raise ValueError(f"{self.name}: {found}")


def varied(baseline: Setting, **factors: tuple[Any, ...]) -> tuple[Setting, ...]:
    """The baseline, then settings that differ from it in one factor each, as the published suite does."""

    def all_of_them() -> Iterator[Setting]:
        yield baseline
        for factor, values in factors.items():
            for value in values:
                yield baseline.model_copy(update={factor: value})

    return tuple(all_of_them())


def plan(
    *settings: Setting,
    steps: int,
    lr: float,
    weight_decay: float = 0.1,
    batch: int = 16,
    chunk_size: int = 16,
    test_examples: int = 384,
    cuts: int = 4,
) -> TaskPlan:
    """A plan of one point of the optimiser grid; what is left out fits sequences shorter than the published ones."""
    return TaskPlan(
        settings=settings,
        lr=(lr,),
        weight_decay=(weight_decay,),
        batch=batch,
        steps=steps,
        test_examples=test_examples,
        cuts=cuts,
        chunk_size=chunk_size,
    )
