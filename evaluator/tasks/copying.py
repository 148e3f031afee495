"""Memorize, Compress and Selective Copy: targets that are not the next token."""

import numpy as np

from evaluator.tasks.examples import IGNORED, Examples, Ints, Split
from evaluator.tasks.settings import Setting


def memorized_map(setting: Setting, rng: np.random.Generator) -> Ints:
    """The fixed map of Memorize: for each key, its value, drawn with replacement."""
    keys_total = setting.content_tokens // 2
    return rng.integers(keys_total, setting.content_tokens, size=keys_total)


def memorize(setting: Setting, value_of: Ints, count: int, rng: np.random.Generator) -> Examples:
    """A key, the insert token (the last of the vocabulary), a key, the insert token, and so on.

    Targets of training and test alike: at each insert token, the value of the key before it.
    """
    keys = rng.integers(len(value_of), size=(count, setting.length // 2))
    inputs = np.full((count, setting.length), setting.vocabulary - 1)
    inputs[:, 0::2] = keys
    targets = np.full_like(inputs, IGNORED)
    targets[:, 1::2] = value_of[keys]
    return Examples.of(inputs, targets)


def compress(setting: Setting, split: Split, count: int, rng: np.random.Generator) -> Examples:
    """Random tokens, then the compression token (the last of the vocabulary); the targets are the inputs."""
    inputs = rng.integers(setting.content_tokens, size=(count, setting.length))
    inputs[:, -1] = setting.vocabulary - 1
    return Examples.of(inputs, inputs)


def selective_copy(setting: Setting, split: Split, count: int, rng: np.random.Generator) -> Examples:
    """Tokens to copy among blanks, the copy token (the last), then as many blanks as there are tokens to copy.

    Every blank among the tokens comes before a token drawn uniformly, so that the last token stands right before the
    copy token. Targets of training and test alike: the tokens in order, one at each of the closing blanks.
    """
    copies = setting.copies
    blanks = setting.length - 2 * copies - 1
    content = rng.integers(setting.content_tokens, size=(count, copies))
    before = rng.multinomial(blanks, np.full(copies, 1 / copies), size=count)
    positions = np.cumsum(before, axis=1) + np.arange(copies)

    copy_token, blank = setting.vocabulary - 1, setting.vocabulary - 2
    inputs = np.full((count, setting.length), blank)
    np.put_along_axis(inputs, positions, content, axis=1)
    inputs[:, copies + blanks] = copy_token
    targets = np.full_like(inputs, IGNORED)
    targets[:, -copies:] = content
    return Examples.of(inputs, targets)
