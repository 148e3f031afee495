"""Context Recall: name the value of a key that the sequence has shown before."""

from evaluator.tasks.examples import Examples, Split
from evaluator.tasks.pairs import draw_pairs, odd_length
from evaluator.tasks.task import FEWER_EXAMPLES, LARGER, LONGER, Setting, Streams, Task, plan, varied


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """Pairs without noise."""
    return draw_pairs(setting, 0, split, count, streams(split))


CONTEXT_RECALL = Task(
    name="Context Recall",
    short="Context",
    suite="mad",
    words=r"context[- ]recall",
    elsewhere=("in-context-recall",),
    about="(key, value) pairs, their map drawn for each sequence; name the value of a key shown before",
    counts="values of keys that occurred before",
    draw=draw,
    special_tokens=0,
    shifted=True,
    problem=odd_length,
    published=varied(
        Setting(task="Context Recall", vocabulary=16, length=128, train_examples=12_800),
        vocabulary=LARGER,
        length=LONGER,
        train_examples=FEWER_EXAMPLES,
    ),
    plans={
        "quick": plan(
            Setting(task="Context Recall", vocabulary=16, length=64, train_examples=12_800), steps=300, lr=6e-3
        ),
        "standard": plan(
            Setting(task="Context Recall", vocabulary=64, length=128, train_examples=12_800),
            Setting(task="Context Recall", vocabulary=128, length=128, train_examples=12_800),
            steps=400,
            lr=3e-3,
            batch=32,
            chunk_size=32,
        ),
    },
)
