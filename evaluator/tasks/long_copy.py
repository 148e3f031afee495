"""Long Copy: repeat a random string, twice as long in test as in training (arXiv 2402.01032)."""

import numpy as np

from evaluator.tasks.examples import IGNORED, Examples, Split
from evaluator.tasks.task import Setting, Streams, Task, plan

_COPY_TOKEN = 1


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """A string of `copies` tokens drawn uniformly, the copy token (the last), then the string but for its last token.

    Targets of training and test alike: the next token of the string, from the copy token on. What was copied so far is
    fed, as a language model reads its own words.
    """
    copies, copy_token = setting.copies, setting.vocabulary - _COPY_TOKEN
    string = streams(split).integers(copy_token, size=(count, copies))
    inputs = np.concatenate([string, np.full((count, 1), copy_token), string[:, :-1]], axis=1)
    targets = np.full_like(inputs, IGNORED)
    targets[:, copies:] = string
    return Examples.of(inputs, targets)


def problem(setting: Setting) -> str:
    """Why a setting is not possible; empty if it is."""
    return "" if setting.length == 2 * setting.copies else f"length must be twice copies, not {setting.length}"


LONG_COPY = Task(
    name="Long Copy",
    short="Long Copy",
    suite="recall+",
    words=r"long[- ]copy(?:ing)?",
    about="a random string, then to be repeated, each right token being fed; the string is twice as long in test as in "
    "training",
    counts="all tokens of the copy",
    draw=draw,
    special_tokens=_COPY_TOKEN,
    stretch=2,
    copies=True,
    problem=problem,
    plans={
        "extra": plan(
            Setting(task="Long Copy", vocabulary=17, length=48, train_examples=12_800, copies=24), steps=240, lr=1e-2
        )
    },
)
