"""The protocols by name: `smoke` shows that all works, `quick` is for a laptop, `mad` is the published suite.

`standard` is the published model at published settings, trained for a short time.

`extra` has further tasks, which a search is not judged by.
"""

from evaluator.protocols.protocol import Protocol
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS, TASKS, longest_fed
from evaluator.tasks.task import TaskPlan
from variants.contract import CHUNK_SIZE


def plans(protocol: str) -> dict[TaskName, TaskPlan]:
    """The plans that tasks have for a protocol of this name, in the order of the registry."""
    return {name: task.plans[protocol] for name, task in TASKS.items() if protocol in task.plans}


QUICK = Protocol(
    name="quick",
    tasks=plans("quick"),
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
            settings=TASKS[task].published,
            lr=(1e-4, 5e-4, 1e-3),
            weight_decay=(0.0, 0.1),
            batch=128,
            epochs=200,
            test_examples=1_280,
            cuts=4,
        )
        for task in MAD_TASKS
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

STANDARD = Protocol(
    name="standard",
    tasks=plans("standard"),
    seeds=(0, 1),
    warmup=0.1,
    betas=(0.9, 0.95),
)
"""The published model and published settings, in an hour on one CPU thread for both seeds, between `quick` and `mad`.

Where the published baseline setting is no use, another published one is taken. Settings, steps and rates were chosen
by measurement: docs/results/standard.md."""

EXTRA = Protocol(
    name="extra",
    tasks=plans("extra"),
    seeds=(0, 1, 2),
    width=64,
    inner=176,
    warmup=0.1,
    betas=(0.9, 0.95),
)
"""The suite `recall+`, at the size of `quick`. Settings, steps and rates were chosen by measurement:
docs/results/extra.md."""

JUDGING = (SMOKE, QUICK, STANDARD, MAD)
"""Protocols of the published suite, which a search is judged by. Fingerprints are made at their sizes."""

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (*JUDGING, EXTRA)}


def protocol_of_today(name: str, digest: str) -> Protocol | None:
    """The protocol of that name, if that version of it is archer's; other versions' scores do not compare."""
    known = PROTOCOLS.get(name)
    return known if known is not None and known.hash == digest else None


def single_chunk_tasks(protocol: str) -> tuple[TaskName, ...]:
    """Tasks all of whose settings fit into one chunk; of the published ones, for a protocol that archer has not."""
    if protocol not in PROTOCOLS:
        settings = {task: (TASKS[task].published, CHUNK_SIZE) for task in MAD_TASKS}
    else:
        settings = {task: (plan.settings, plan.chunk_size) for task, plan in PROTOCOLS[protocol].tasks.items()}
    return tuple(task for task, (own, size) in settings.items() if all(longest_fed(s) <= size for s in own))


def tasks_of(protocol: str) -> tuple[TaskName, ...]:
    """Tasks of a protocol in the order of the registry; those of the published suite, for one that archer has not."""
    return tuple(PROTOCOLS[protocol].tasks) if protocol in PROTOCOLS else MAD_TASKS
