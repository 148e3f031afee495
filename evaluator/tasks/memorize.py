"""Memorize: one map from keys to values for all sequences, to be learnt into the weights."""

import numpy as np

from evaluator.tasks.examples import IGNORED, Examples, Ints, Split
from evaluator.tasks.pairs import odd_length
from evaluator.tasks.task import Setting, Streams, Task, plan, varied

_INSERT_TOKEN = 1


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """A key, the insert token (the last of the vocabulary), a key, the insert token, and so on.

    Targets of training and test alike: at each insert token, the value of the key before it.
    """
    value_of = memorized_map(setting, streams("map"))
    keys = streams(split).integers(len(value_of), size=(count, setting.length // 2))
    inputs = np.full((count, setting.length), setting.vocabulary - 1)
    inputs[:, 0::2] = keys
    targets = np.full_like(inputs, IGNORED)
    targets[:, 1::2] = value_of[keys]
    return Examples.of(inputs, targets)


def memorized_map(setting: Setting, rng: np.random.Generator) -> Ints:
    """The fixed map: for each key, its value, drawn with replacement."""
    content_tokens = setting.vocabulary - _INSERT_TOKEN
    keys_total = content_tokens // 2
    return rng.integers(keys_total, content_tokens, size=keys_total)


MEMORIZE = Task(
    name="Memorize",
    short="Memorize",
    suite="mad",
    words=r"memori[sz]e",
    elsewhere=("memorization", "memorisation", "memorise"),
    about="`key, ask, key, ask, ...` with one map for all sequences: values are learnt into the weights, and all that "
    "has to be read is the key, one position back",
    counts="the values, at every insert token",
    draw=draw,
    special_tokens=_INSERT_TOKEN,
    problem=odd_length,
    published=varied(
        Setting(task="Memorize", vocabulary=256, length=32, train_examples=256),
        vocabulary=(512, 1_024, 2_048, 4_096, 8_192),
    ),
    plans={
        "quick": plan(
            Setting(task="Memorize", vocabulary=2_048, length=32, train_examples=256),
            steps=120,
            lr=2.5e-3,
            weight_decay=0.0,
            batch=32,
            chunk_size=32,
            test_examples=256,
        ),
        "standard": plan(
            Setting(task="Memorize", vocabulary=2_048, length=32, train_examples=256),
            Setting(task="Memorize", vocabulary=4_096, length=32, train_examples=256),
            steps=200,
            lr=2.5e-3,
            weight_decay=0.0,
            batch=32,
            chunk_size=32,
        ),
    },
)
