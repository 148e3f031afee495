"""The protocols by name: `smoke` shows that all works, `quick` is for a laptop, `mad` is the published suite."""

from evaluator.protocols.protocol import Protocol, TaskPlan, TrialSpec, trial_specs
from evaluator.tasks.settings import PUBLISHED, Setting
from variants.contract import TASKS, Task

__all__ = [
    "MAD",
    "PROTOCOLS",
    "QUICK",
    "SMOKE",
    "Protocol",
    "TaskPlan",
    "TrialSpec",
    "single_chunk_tasks",
    "trial_specs",
]


def _plan(
    setting: Setting,
    steps: int,
    lr: float,
    *,
    weight_decay: float = 0.1,
    batch: int = 16,
    chunk_size: int = 16,
    test_examples: int = 384,
    cuts: int = 4,
) -> TaskPlan:
    """A plan of one setting. Sequences are shorter than the published ones, and chunks with them."""
    return TaskPlan(
        settings=(setting,),
        lr=(lr,),
        weight_decay=(weight_decay,),
        batch=batch,
        steps=steps,
        test_examples=test_examples,
        cuts=cuts,
        chunk_size=chunk_size,
    )


_COMPRESS = Setting(task="Compress", vocabulary=6, length=32, train_examples=12_800)
_CONTEXT = Setting(task="Context Recall", vocabulary=16, length=64, train_examples=12_800)
_FUZZY = Setting(task="Fuzzy Recall", vocabulary=8, length=64, train_examples=12_800)
_MEMORIZE = Setting(task="Memorize", vocabulary=2_048, length=32, train_examples=256)
_NOISY = Setting(task="Noisy Recall", vocabulary=28, length=64, train_examples=12_800, noise=0.2)
_COPY = Setting(task="Selective Copy", vocabulary=16, length=64, train_examples=12_800, copies=8)

QUICK = Protocol(
    name="quick",
    tasks={
        "Compress": _plan(_COMPRESS, steps=400, lr=3e-3, weight_decay=0.0, chunk_size=8),
        "Context Recall": _plan(_CONTEXT, steps=300, lr=6e-3),
        "Fuzzy Recall": _plan(_FUZZY, steps=400, lr=6e-3),
        "Memorize": _plan(
            _MEMORIZE, steps=120, lr=2.5e-3, weight_decay=0.0, batch=32, chunk_size=32, test_examples=256
        ),
        "Noisy Recall": _plan(_NOISY, steps=300, lr=4e-3),
        "Selective Copy": _plan(_COPY, steps=500, lr=6e-3),
    },
    seeds=(0, 1, 2),
    width=64,
    inner=176,
    warmup=0.1,
    betas=(0.9, 0.95),
)
"""Minutes on one CPU thread. Settings, steps and rates were chosen by measurement: docs/results/quick-protocol.md."""

SMOKE = Protocol(
    name="smoke",
    tasks={
        task: plan.model_copy(update={"steps": 20, "batch": 16, "test_examples": 32, "cuts": 2})
        for task, plan in QUICK.tasks.items()
    },
    seeds=(0,),
    width=32,
    inner=96,
    warmup=0.1,
    betas=(0.9, 0.95),
)
"""Seconds. Its scores say nothing but that a variant trains at all."""

MAD = Protocol(
    name="mad",
    tasks={
        task: TaskPlan(
            settings=PUBLISHED[task],
            lr=(1e-4, 5e-4, 1e-3),
            weight_decay=(0.0, 0.1),
            batch=128,
            epochs=200,
            test_examples=1_280,
            cuts=4,
        )
        for task in TASKS
    },
    seeds=(0,),
    schedule="constant",
    held_examples=1_280,
    precision="bfloat16",
)
"""The published suite: 66 settings, a grid of 6, 200 epochs at a constant rate (as run; a cosine is documented).

Deliberate differences to mad-lab: the best epoch is chosen, and a run stopped, on a held-out set and not on the test
set; a prediction counts only if made with its future replaced by random tokens, so a test sequence gives at most
`cuts` predictions; accuracy is the plain share of right predictions, not a macro average per batch; everything is
seeded; a run that diverges is a failed trial, not a dropped row; Fuzzy Recall's last key was always shown before; the
kernel computes in float32 where the layers around it use bfloat16; one head (the published Memorize fits one or two).
The grid's best is still taken on test accuracy, as published.
"""

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (SMOKE, QUICK, MAD)}


def single_chunk_tasks(protocol: str) -> tuple[Task, ...]:
    """Tasks all of whose settings fit into one chunk; Memorize, for a protocol that archer does not know."""
    if protocol not in PROTOCOLS:
        return ("Memorize",)
    plans = PROTOCOLS[protocol].tasks
    return tuple(t for t, plan in plans.items() if all(s.fed_length <= plan.chunk_size for s in plan.settings))
