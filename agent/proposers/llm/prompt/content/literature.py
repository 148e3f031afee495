"""The digest of the literature, and what of it fits what an ask is pointed at.

The digest is data, `prompts/literature.json`: ideas in a few sentences, where in the loop they act, which tasks they
may help, and the papers that they come from.
"""

import random
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, TypeAdapter

from agent.proposers.llm.prompt.content.focus import Focus
from evaluator.tasks.names import TaskName

MOST = 4


class Idea(BaseModel):
    """One idea: what papers say, and what is left of it in a loop without parameters. papers: arXiv numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    idea: str
    says: str
    here: str
    places: tuple[str, ...]
    tasks: tuple[TaskName, ...]
    papers: tuple[str, ...]


@cache
def digest() -> tuple[Idea, ...]:
    """The whole digest."""
    text = files("prompts").joinpath("literature.json").read_text(encoding="utf-8")
    return TypeAdapter(tuple[Idea, ...]).validate_json(text)


def literature_lines(focus: Focus, seed: int) -> tuple[str, ...]:
    """The ideas that fit the task and the place of a focus best; among equals the seed decides, so that asks differ."""
    found = list(digest())
    random.Random(seed).shuffle(found)
    found.sort(key=lambda idea: -_fit(idea, focus))
    return tuple(_told(idea) for idea in found[:MOST] if _fit(idea, focus))


def _fit(idea: Idea, focus: Focus) -> int:
    return (focus.task in idea.tasks) + (focus.slot in idea.places)


def _told(idea: Idea) -> str:
    return f"{idea.idea} (arXiv {', '.join(idea.papers)}). {idea.says} Here: {idea.here}"
