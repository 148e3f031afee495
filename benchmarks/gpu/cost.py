"""What `mad` would cost a variant, from steps a second at a shape of each task and from the share of scoring."""

from collections.abc import Mapping
from typing import Any

from evaluator.protocols.built_in import MAD
from evaluator.tasks.registry import TASKS, fed_length
from evaluator.tasks.task import Setting, TaskPlan

GRID = 6


def cost(results: Mapping[str, Any]) -> list[dict[str, object]]:
    """Hours a task and in all; empty where `steps` was not measured.

    A token is assumed to cost what it costs at the measured shape of the task, or of Context Recall where the task was
    not measured. No run ends early; the six points of a grid train as one.
    """
    measured = {
        row["task"]: row["steps a second"]
        for row in results.get("steps", {}).get("rows", [])
        if row["way"] == "graph" and row["members"] == GRID
    }
    if not measured:
        return []
    rows: list[dict[str, object]] = []
    for task, plan in MAD.tasks.items():
        shape = task if task in measured else "Context Recall"
        per_token = 1 / (measured[shape] * fed_length(TASKS[shape].published[0]))
        seconds = sum(
            (plan.steps_of(each) + _looks(plan, each)) * fed_length(each) * per_token for each in plan.settings
        )
        rows.append({"task": task, "hours": seconds / 3600, "at the shape of": shape})
    total = sum(float(str(row["hours"])) for row in rows)
    return [*rows, {"task": "all, without scoring", "hours": total, "at the shape of": ""}]


def _looks(plan: TaskPlan, setting: Setting) -> float:
    """The looks at the held-out set, in steps: a forward pass is a third of one."""
    return plan.steps_of(setting) // plan.epoch_of(setting) * MAD.held_examples / plan.batch / 3
