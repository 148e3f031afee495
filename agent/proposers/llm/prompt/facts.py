"""What a prompt is made of: plain values that the templates print, that can be cut to a budget, and that are archived.

A recorded prompt is rendered again from its recorded facts: no archive of that moment is needed for it.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from agent.proposers.llm.configuration.settings import Form
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import BASELINE, CONTRACTS, REFERENCE, Layer


class Fact(BaseModel):
    """Base of the values below: immutable, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShownKernel(Fact):
    """A kernel whose code is shown, or, in the structured form, its formulas."""

    name: str
    source: str
    formulas: tuple[str, ...] = ()
    genome: dict[str, Any] | None = None
    why: str = ""


class LeaderboardRow(Fact):
    """One line of a leaderboard: cells as they are printed, in the order of the tasks."""

    name: str
    cells: tuple[str, ...]
    rank: float
    """Mean accuracy: what rows are ordered and cut by."""
    keep: bool = False
    """Never cut: baseline, reference, parents and the best of each task."""


class MechanismFact(Fact):
    """A mechanism of the catalogue with the values that its parameters may take."""

    slot: str
    mechanism: str
    title: str
    formula: str
    parameters: dict[str, tuple[float, ...]]


class PromptFacts(Fact):
    """Everything that a first prompt prints."""

    form: Form
    protocol: str
    parent: ShownKernel
    others: tuple[ShownKernel, ...]
    base: ShownKernel | None
    """The baseline's kernel, where the form is code and it is not the parent."""
    measured: tuple[LeaderboardRow, ...]
    published: tuple[LeaderboardRow, ...]
    insights: tuple[str, ...]
    """What the leaderboard says, computed: leaders, gaps to the reference, what is only noise."""
    structure: tuple[str, ...]
    history: tuple[str, ...]
    """Earlier attempts, the newest first."""
    calibration: tuple[str, ...]
    under_way: tuple[str, ...]
    focus: str
    mechanisms: tuple[MechanismFact, ...] = ()
    tasks_about: tuple[str, ...] = ()
    """What each task asks for, and its sizes under the protocol."""
    model_about: tuple[str, ...] = ()
    """What stands before and after the kernel, and the scales that arrive; for the code form."""
    judged_by: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    function: str = CONTRACTS[Layer.DELTA_NET].function
    inputs: tuple[str, ...] = CONTRACTS[Layer.DELTA_NET].inputs
    tasks: tuple[TaskName, ...] = MAD_TASKS
    baseline: str = BASELINE
    reference: str = REFERENCE

    @property
    def parents(self) -> tuple[str, ...]:
        """Names that the reply may state as its parent."""
        return tuple(kernel.name for kernel in (self.parent, *self.others))
