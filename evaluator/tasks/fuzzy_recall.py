"""Fuzzy Recall: (key, value) pairs whose keys and values are motifs of one to three tokens."""

from dataclasses import dataclass

import numpy as np

from evaluator.tasks.examples import IGNORED, Bools, Examples, Ints, Split, first_occurrence
from evaluator.tasks.task import FEWER_EXAMPLES, LARGER, LONGER, Setting, Streams, Task, plan, varied

MOTIF_SIZE = 3
_PAD_TOKEN = 1

_BLOCK = 512
"""Rows made at a time: few enough for the many arrays of a block to stay in the cache."""


@dataclass(frozen=True)
class _Motifs:
    """Motifs. tokens: `[N, M, MOTIF_SIZE]`, of which the first `sizes` (`[N, M]`) count."""

    tokens: Ints
    sizes: Ints

    def take(self, slots: Ints) -> "_Motifs":
        """The motif at `slots[n, m]` of each row n."""
        tokens = np.take_along_axis(self.tokens, slots[:, :, None], axis=1)
        return _Motifs(tokens, np.take_along_axis(self.sizes, slots, axis=1))

    def append(self, last: "_Motifs") -> "_Motifs":
        """These motifs, then `last`, in every row."""
        return _Motifs(
            np.concatenate([self.tokens, last.tokens], axis=1), np.concatenate([self.sizes, last.sizes], axis=1)
        )


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """Pairs of a key motif and its value motif, padded on the left; the last pair repeats one shown before.

    A motif is an ordered draw without repeats: keys from the first half of the content tokens, values from the
    second. Sizes are uniform over 1 to MOTIF_SIZE, but test keys have MOTIF_SIZE tokens. Pairs follow one another as
    long as one more and the largest last pair would fit in `length` + 1 tokens. Train targets: the next token,
    pads included. Test targets: the value tokens of keys that occurred before.
    """
    rng = streams(split)
    blocks = [_block(setting, split, min(_BLOCK, count - start), rng) for start in range(0, count, _BLOCK)]
    return Examples.joined(blocks)


def _block(setting: Setting, split: Split, count: int, rng: np.random.Generator) -> Examples:
    content_tokens = setting.vocabulary - _PAD_TOKEN
    keys_total = content_tokens // 2
    smallest_key = 1 if split == "train" else MOTIF_SIZE
    slots = (setting.length + 1 - 2 * MOTIF_SIZE) // (smallest_key + 1)
    keys = _draw_motifs((count, slots), 0, keys_total, smallest_key, rng)
    values = _draw_motifs((count, slots), keys_total, content_tokens, 1, rng)

    first = first_occurrence(_codes(keys, setting.vocabulary))
    values = values.take(first)
    ends = np.cumsum(keys.sizes + values.sizes, axis=1)
    kept = ends <= setting.length + 1 - 2 * MOTIF_SIZE
    kept_total = kept.sum(axis=1)
    probe = rng.integers(kept_total)[:, None]

    widest = int(kept_total.max())
    kept, first = kept[:, :widest], first[:, :widest]
    in_order = np.arange(widest)[None].repeat(count, axis=0)
    keys = keys.take(in_order).append(keys.take(probe))
    values = values.take(in_order).append(values.take(probe))
    always = np.ones((count, 1), dtype=np.bool_)
    kept = np.concatenate([kept, always], axis=1)
    repeated = np.concatenate([first != in_order, always], axis=1)
    return _lay_out(setting, split, keys, values, kept, repeated)


def _draw_motifs(shape: tuple[int, int], low: int, high: int, smallest: int, rng: np.random.Generator) -> _Motifs:
    """Ordered draws without repeats from low..high-1: each next token skips over the ones already drawn."""
    first = rng.integers(high - low, size=shape)
    second = rng.integers(high - low - 1, size=shape)
    second += second >= first
    third = rng.integers(high - low - 2, size=shape)
    third += third >= np.minimum(first, second)
    third += third >= np.maximum(first, second)
    sizes = rng.integers(smallest, MOTIF_SIZE + 1, size=shape)
    return _Motifs(np.stack([first, second, third], axis=2) + low, sizes)


def _codes(motifs: _Motifs, vocabulary: int) -> Ints:
    """One number per motif, equal for equal motifs only."""
    codes = np.zeros_like(motifs.sizes)
    for place in range(MOTIF_SIZE):
        digit = np.where(place < motifs.sizes, motifs.tokens[:, :, place] + 1, 0)
        codes = codes * (vocabulary + 1) + digit
    return codes


def _lay_out(setting: Setting, split: Split, keys: _Motifs, values: _Motifs, kept: Bools, repeated: Bools) -> Examples:
    """Write the kept pairs side by side, flush right, with pads (the last token of the vocabulary) on the left."""
    count = len(kept)
    total = setting.length + 1
    sizes = np.where(kept, keys.sizes + values.sizes, 0)
    starts = np.cumsum(sizes, axis=1) - sizes + (total - sizes.sum(axis=1, keepdims=True))

    # What is not kept is written to a column past the end, which is cut off: cheaper than selecting.
    rows = np.arange(count)[:, None] * (total + 1)
    tokens = np.full((count, total + 1), setting.vocabulary - 1)
    scored = np.zeros((count, total + 1), dtype=np.bool_)
    for motifs, offsets in ((keys, starts), (values, starts + keys.sizes)):
        for place in range(MOTIF_SIZE):
            position = rows + np.where(kept & (place < motifs.sizes), offsets + place, total)
            tokens.ravel()[position] = motifs.tokens[:, :, place]
            if motifs is values and split != "train":
                scored.ravel()[position] = repeated
    tokens, scored = tokens[:, :-1], scored[:, :-1]
    targets = tokens if split == "train" else np.where(scored, tokens, IGNORED)
    return Examples.of(tokens[:, :-1], targets[:, 1:])


def problem(setting: Setting) -> str:
    """Why a setting is not possible; empty if it is."""
    if setting.vocabulary - _PAD_TOKEN < 2 * MOTIF_SIZE:
        return f"it needs {2 * MOTIF_SIZE} content tokens, and a vocabulary of {setting.vocabulary} leaves fewer"
    least = 4 * MOTIF_SIZE - 1
    return "" if setting.length >= least else f"it needs a length of at least {least}"


FUZZY_RECALL = Task(
    name="Fuzzy Recall",
    short="Fuzzy",
    suite="mad",
    words=r"fuzzy[- ]recall",
    elsewhere=("fuzzy-in-context-recall", "fuzzy-context-recall"),
    about="the same with keys and values of 1 to 3 tokens, tested on keys of 3: the key must be put together from "
    "neighbouring positions before it is looked up",
    counts="the value tokens of keys that occurred before",
    draw=draw,
    special_tokens=_PAD_TOKEN,
    problem=problem,
    published=varied(
        Setting(task="Fuzzy Recall", vocabulary=16, length=128, train_examples=12_800),
        vocabulary=LARGER,
        length=LONGER,
        train_examples=FEWER_EXAMPLES,
    ),
    plans={
        "quick": plan(Setting(task="Fuzzy Recall", vocabulary=8, length=64, train_examples=12_800), steps=400, lr=6e-3),
        "standard": plan(
            Setting(task="Fuzzy Recall", vocabulary=16, length=128, train_examples=12_800),
            steps=800,
            lr=4e-3,
            batch=32,
            chunk_size=32,
        ),
    },
)
