"""(key, value) pairs in a row, their map drawn anew for every sequence: what Context and Noisy Recall are made of."""

import numpy as np

from evaluator.tasks.examples import IGNORED, Examples, Ints, Split, first_occurrence
from evaluator.tasks.task import Setting


def draw_pairs(setting: Setting, noise_tokens: int, split: Split, count: int, rng: np.random.Generator) -> Examples:
    """Pairs of a key and its value; the last key is one already shown.

    Keys are the first half of the content tokens, values the second half, noise the last `noise_tokens` tokens. With
    noise, each pair before the last is two noise tokens instead with probability `setting.noise`; one is forced not
    to be. Train targets: the next token, everywhere. Test targets: the values of keys that occurred before.
    """
    content_tokens = setting.vocabulary - noise_tokens
    keys_total = content_tokens // 2
    pairs = setting.length // 2
    keys = rng.integers(keys_total, size=(count, pairs))
    noisy = np.zeros((count, pairs), dtype=np.bool_)
    if setting.noise:
        noisy[:, :-1] = rng.random((count, pairs - 1)) < setting.noise
        noisy[np.arange(count), rng.integers(pairs - 1, size=count)] = False
    keys[:, -1] = _one_shown(keys[:, :-1], noisy[:, :-1], keys_total, rng)

    value_of = rng.integers(keys_total, content_tokens, size=(count, keys_total))
    sequence = np.stack([keys, np.take_along_axis(value_of, keys, axis=1)], axis=2)
    if setting.noise:
        noise = rng.integers(content_tokens, content_tokens + noise_tokens, size=sequence.shape)
        sequence = np.where(noisy[:, :, None], noise, sequence)

    tokens = sequence.reshape(count, setting.length)
    targets = tokens
    if split != "train":
        slots = np.arange(pairs)
        seen_before = first_occurrence(np.where(noisy, keys_total + slots, keys)) != slots
        targets = np.full_like(sequence, IGNORED)
        targets[:, :, 1] = np.where(seen_before, sequence[:, :, 1], IGNORED)
        targets = targets.reshape(count, setting.length)
    return Examples.of(tokens[:, :-1], targets[:, 1:])


def _one_shown(keys: Ints, noisy: np.ndarray, keys_total: int, rng: np.random.Generator) -> Ints:
    """One key per row, uniform over the distinct keys that the row shows."""
    shown = np.zeros((len(keys), keys_total + 1), dtype=np.bool_)
    np.put_along_axis(shown, np.where(noisy, keys_total, keys), True, axis=1)
    draw = rng.random((len(keys), keys_total))
    chosen: Ints = np.where(shown[:, :-1], draw, -1.0).argmax(axis=1)
    return chosen


def odd_length(setting: Setting) -> str:
    """Why a setting is not possible for a sequence of pairs; empty if it is."""
    return f"it is made of pairs: length must be even, not {setting.length}" if setting.length % 2 else ""
