"""All tasks by name, and the streams of random numbers that their examples come from. A new task is one line here."""

import hashlib

import numpy as np

from evaluator.tasks.compress import COMPRESS
from evaluator.tasks.context_recall import CONTEXT_RECALL
from evaluator.tasks.examples import SPLITS, Examples, Split
from evaluator.tasks.fuzzy_recall import FUZZY_RECALL
from evaluator.tasks.long_copy import LONG_COPY
from evaluator.tasks.memorize import MEMORIZE
from evaluator.tasks.mqar import MQAR
from evaluator.tasks.names import TaskName
from evaluator.tasks.noisy_recall import NOISY_RECALL
from evaluator.tasks.selective_copy import SELECTIVE_COPY
from evaluator.tasks.state_tracking import STATE_TRACKING
from evaluator.tasks.task import Setting, Suite, Task

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        COMPRESS,
        CONTEXT_RECALL,
        FUZZY_RECALL,
        MEMORIZE,
        NOISY_RECALL,
        SELECTIVE_COPY,
        MQAR,
        STATE_TRACKING,
        LONG_COPY,
    )
}


def tasks_of_suite(suite: Suite) -> tuple[TaskName, ...]:
    """Names of a suite's tasks, in the order of the registry."""
    return tuple(name for name, task in TASKS.items() if task.suite == suite)


MAD_TASKS = tasks_of_suite("mad")
"""The published suite: what a search is judged by."""


def planned_settings(task: TaskName, protocol: str) -> frozenset[str]:
    """Ids of the settings that a task has under a protocol of this name; none if its plans do not name it."""
    plan = TASKS[task].plans.get(protocol)
    return frozenset(setting.id for setting in plan.settings) if plan else frozenset()


def stream(setting: Setting, purpose: str, seed: int) -> np.random.Generator:
    """Random numbers for one purpose; independent across tasks, settings, purposes and seeds."""
    key = f"{setting.task}/{setting.id}/{purpose}/{seed}"
    return np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))


def examples(setting: Setting, split: Split, count: int, seed: int) -> Examples:
    """`count` examples of a setting: the same for every variant of a seed, and never shared between splits."""
    task = TASKS[setting.task]
    return task.draw(task.sized(setting, split), split, count, lambda purpose: stream(setting, purpose, seed))


def fed_length(setting: Setting, split: Split = "train") -> int:
    """Tokens that the model sees per sequence of a setting."""
    return TASKS[setting.task].fed_length(setting, split)


def longest_fed(setting: Setting) -> int:
    """The longest sequence that the model sees of a setting, in training or test."""
    return max(fed_length(setting, split) for split in SPLITS)
