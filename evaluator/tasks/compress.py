"""Compress: an autoencoder that restores a sequence from the hidden state of its last position."""

from evaluator.tasks.examples import Examples, Split
from evaluator.tasks.task import FEWER_EXAMPLES, LARGER, Setting, Streams, Task, plan, varied

_COMPRESSION_TOKEN = 1


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """Random tokens, then the compression token (the last of the vocabulary); the targets are the inputs."""
    inputs = streams(split).integers(setting.vocabulary - _COMPRESSION_TOKEN, size=(count, setting.length))
    inputs[:, -1] = setting.vocabulary - 1
    return Examples.of(inputs, inputs)


COMPRESS = Task(
    name="Compress",
    short="Compress",
    suite="mad",
    words=r"compress(?:ion)?",
    elsewhere=("compression",),
    about="random tokens; a decoder restores all of them from the last position's hidden state alone, so that one read "
    "of the state must carry the whole sequence",
    counts="every position; its code is made from the whole sequence, so no future is replaced",
    draw=draw,
    special_tokens=_COMPRESSION_TOKEN,
    backbone="autoencoder",
    published=varied(
        Setting(task="Compress", vocabulary=16, length=32, train_examples=12_800),
        vocabulary=LARGER,
        length=(64, 128, 256),
        train_examples=FEWER_EXAMPLES,
    ),
    plans={
        "quick": plan(
            Setting(task="Compress", vocabulary=6, length=32, train_examples=12_800),
            steps=400,
            lr=3e-3,
            weight_decay=0.0,
            chunk_size=8,
        ),
        "standard": plan(
            Setting(task="Compress", vocabulary=16, length=32, train_examples=12_800),
            steps=400,
            lr=2e-3,
            weight_decay=0.0,
            batch=32,
            chunk_size=32,
        ),
    },
)
