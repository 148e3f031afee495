"""Noisy Recall: Context Recall with random noise tokens between the pairs."""

from evaluator.tasks.examples import Examples, Split
from evaluator.tasks.pairs import draw_pairs, odd_length
from evaluator.tasks.task import FEWER_EXAMPLES, LONGER, Setting, Streams, Task, plan, varied

NOISE_TOKENS = 16


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """Pairs, some of them two noise tokens instead."""
    return draw_pairs(setting, NOISE_TOKENS, split, count, streams(split))


NOISY_RECALL = Task(
    name="Noisy Recall",
    short="Noisy",
    suite="mad",
    words=r"noisy[- ]recall",
    elsewhere=("noisy-in-context-recall", "noisy-context-recall"),
    about="Context Recall with random noise tokens between the pairs: what is not to be written matters",
    counts="values of keys that occurred before",
    draw=draw,
    special_tokens=NOISE_TOKENS,
    shifted=True,
    noise=True,
    problem=odd_length,
    published=varied(
        Setting(task="Noisy Recall", vocabulary=32, length=128, train_examples=12_800, noise=0.2),
        vocabulary=(48, 80, 144),
        length=LONGER,
        train_examples=FEWER_EXAMPLES,
        noise=(0.4, 0.6, 0.8),
    ),
    plans={
        "quick": plan(
            Setting(task="Noisy Recall", vocabulary=28, length=64, train_examples=12_800, noise=0.2), steps=300, lr=4e-3
        ),
        "standard": plan(
            Setting(task="Noisy Recall", vocabulary=48, length=128, train_examples=12_800, noise=0.2),
            Setting(task="Noisy Recall", vocabulary=80, length=128, train_examples=12_800, noise=0.2),
            steps=320,
            lr=3e-3,
            batch=32,
            chunk_size=32,
        ),
    },
)
