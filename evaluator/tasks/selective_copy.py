"""Selective Copy: a few tokens strewn among blanks, to be repeated in order."""

import numpy as np

from evaluator.tasks.examples import IGNORED, Examples, Split
from evaluator.tasks.task import FEWER_EXAMPLES, LARGER, Setting, Streams, Task, plan, varied

_BLANK_AND_COPY_TOKENS = 2


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """Tokens to copy among blanks, the copy token (the last), then as many blanks as there are tokens to copy.

    Every blank among the tokens comes before a token drawn uniformly, so that the last token stands right before the
    copy token. Targets of training and test alike: the tokens in order, one at each of the closing blanks.
    """
    rng, copies = streams(split), setting.copies
    blanks = setting.length - 2 * copies - 1
    content = rng.integers(setting.vocabulary - _BLANK_AND_COPY_TOKENS, size=(count, copies))
    before = rng.multinomial(blanks, np.full(copies, 1 / copies), size=count)
    positions = np.cumsum(before, axis=1) + np.arange(copies)

    copy_token, blank = setting.vocabulary - 1, setting.vocabulary - 2
    inputs = np.full((count, setting.length), blank)
    np.put_along_axis(inputs, positions, content, axis=1)
    inputs[:, copies + blanks] = copy_token
    targets = np.full_like(inputs, IGNORED)
    targets[:, -copies:] = content
    return Examples.of(inputs, targets)


def problem(setting: Setting) -> str:
    """Why a setting is not possible; empty if it is."""
    most = (setting.length - 1) // 2
    return "" if 0 < setting.copies <= most else f"copies must be between 1 and {most}, not {setting.copies}"


SELECTIVE_COPY = Task(
    name="Selective Copy",
    short="Sel. Copy",
    suite="mad",
    words=r"selective[- ]copy",
    elsewhere=("selective-copying",),
    about="a few tokens strewn among blanks, then to be repeated in order: blanks must not wash them out",
    counts="the copied tokens",
    draw=draw,
    special_tokens=_BLANK_AND_COPY_TOKENS,
    copies=True,
    problem=problem,
    published=varied(
        Setting(task="Selective Copy", vocabulary=16, length=256, train_examples=12_800, copies=16),
        vocabulary=LARGER,
        length=(512, 1_024),
        train_examples=FEWER_EXAMPLES,
        copies=(32, 64, 96),
    ),
    plans={
        "quick": plan(
            Setting(task="Selective Copy", vocabulary=16, length=64, train_examples=12_800, copies=8),
            steps=500,
            lr=6e-3,
        ),
        "standard": plan(
            Setting(task="Selective Copy", vocabulary=16, length=256, train_examples=12_800, copies=16),
            steps=300,
            lr=2e-3,
            batch=32,
            chunk_size=32,
        ),
    },
)
