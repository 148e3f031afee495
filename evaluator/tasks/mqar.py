"""MQAR, multi-query associative recall: pairs, then every key once more, at random distances (arXiv 2312.04927).

The order of tokens, the places of the queries and `POWER` follow the paper's own generator, with blanks between the
queries as in the runs of its figure 2 (github.com/HazyResearch/zoology at d88d6f5, `multiquery_ar` with
`random_non_queries=False`). Two things are ours. Values are drawn with replacement: in a small vocabulary, values
without repeats would give each other away. And the vocabulary is small: theirs has 8,192 tokens.
"""

import numpy as np

from evaluator.tasks.examples import IGNORED, Examples, Split
from evaluator.tasks.task import Setting, Streams, Task, plan

_BLANK_TOKEN = 1
POWER = 0.01
"""The d-th place for a query is drawn with weight d^(POWER - 1): most queries come soon after the pairs, some late."""


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """Pairs of a key and its value, no key twice; then blanks (the last token), among them every key once more.

    Keys are the first half of the content tokens, values the second half. Queries stand at every second position at
    most, as a value could follow each; near places are drawn more often, none twice, and which key stands at which of
    them is drawn uniformly. Targets of training and test alike: at each query, the value of its key.
    """
    rng, pairs = streams(split), setting.option("pairs")
    content_tokens = setting.vocabulary - _BLANK_TOKEN
    keys_total, places = content_tokens // 2, (setting.length - 2 * pairs) // 2
    keys = rng.permuted(np.tile(np.arange(keys_total), (count, 1)), axis=1)[:, :pairs]
    values = rng.integers(keys_total, content_tokens, size=(count, pairs))
    # The largest of weights' logarithms plus Gumbel noise are a weighted draw without replacement, likely places first.
    lots = (POWER - 1) * np.log(np.arange(1, places + 1)) + rng.gumbel(size=(count, places))
    queries = 2 * pairs + 2 * np.argsort(-lots, axis=1)[:, :pairs]
    asked = rng.permuted(np.tile(np.arange(pairs), (count, 1)), axis=1)

    inputs = np.full((count, setting.length), setting.vocabulary - 1)
    inputs[:, 0 : 2 * pairs : 2], inputs[:, 1 : 2 * pairs : 2] = keys, values
    np.put_along_axis(inputs, queries, np.take_along_axis(keys, asked, axis=1), axis=1)
    targets = np.full_like(inputs, IGNORED)
    np.put_along_axis(targets, queries, np.take_along_axis(values, asked, axis=1), axis=1)
    return Examples.of(inputs, targets)


def problem(setting: Setting) -> str:
    """Why a setting is not possible; empty if it is."""
    most = min(setting.length // 4, (setting.vocabulary - _BLANK_TOKEN) // 2)
    pairs = dict(setting.options).get("pairs", 0)
    return "" if 0 < pairs <= most else f"its option pairs must be between 1 and {most}, not {pairs}"


MQAR = Task(
    name="MQAR",
    short="MQAR",
    suite="recall+",
    words=r"(?:mqar|multi[- ]query(?: associative)? recall)",
    about="(key, value) pairs first, no key twice; then blanks, and among them each key once more, near ones more "
    "often: name its value. All pairs have to be held at once",
    counts="the values, at every repeated key",
    draw=draw,
    special_tokens=_BLANK_TOKEN,
    problem=problem,
    plans={
        "extra": plan(
            Setting(task="MQAR", vocabulary=65, length=48, train_examples=12_800, options=(("pairs", 12),)),
            steps=200,
            lr=1e-2,
        )
    },
)
