"""The six tasks by name, and the streams of random numbers that their examples come from."""

import hashlib
from collections.abc import Callable
from functools import partial

import numpy as np

from evaluator.tasks.copying import compress, memorize, memorized_map, selective_copy
from evaluator.tasks.examples import Examples, Split
from evaluator.tasks.fuzzy import fuzzy_recall
from evaluator.tasks.recall import recall
from evaluator.tasks.settings import Setting
from variants.contract import Task

Generator = Callable[[Setting, Split, int, int], Examples]
"""(setting, split, count, seed) -> examples."""


def stream(setting: Setting, purpose: str, seed: int) -> np.random.Generator:
    """Random numbers for one purpose; independent across tasks, settings, purposes and seeds."""
    key = f"{setting.task}/{setting.id}/{purpose}/{seed}"
    return np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))


def _drawn_anew(
    draw: Callable[[Setting, Split, int, np.random.Generator], Examples],
    setting: Setting,
    split: Split,
    count: int,
    seed: int,
) -> Examples:
    return draw(setting, split, count, stream(setting, split, seed))


def _memorize(setting: Setting, split: Split, count: int, seed: int) -> Examples:
    value_of = memorized_map(setting, stream(setting, "map", seed))
    return memorize(setting, value_of, count, stream(setting, split, seed))


GENERATORS: dict[Task, Generator] = {
    "Compress": partial(_drawn_anew, compress),
    "Context Recall": partial(_drawn_anew, recall),
    "Fuzzy Recall": partial(_drawn_anew, fuzzy_recall),
    "Memorize": _memorize,
    "Noisy Recall": partial(_drawn_anew, recall),
    "Selective Copy": partial(_drawn_anew, selective_copy),
}


def examples(setting: Setting, split: Split, count: int, seed: int) -> Examples:
    """`count` examples of a setting: the same for every variant of a seed, and never shared between splits."""
    return GENERATORS[setting.task](setting, split, count, seed)
