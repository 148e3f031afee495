"""Names of tasks: strings that are checked where values are read from outside."""

from typing import Annotated

from pydantic import AfterValidator


def _known(name: str) -> str:
    from evaluator.tasks.registry import TASKS  # whoever only names a task need not wait for numpy

    if name not in TASKS:
        raise ValueError(f"no task is called {name!r}; there are {', '.join(TASKS)}")
    return name


TaskName = Annotated[str, AfterValidator(_known)]
"""A task of the registry; in a value that is read from outside, another name is an error."""
