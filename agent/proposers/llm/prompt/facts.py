"""What a prompt is made of: plain values that the templates print, that can be cut to a budget, and that are archived.

A recorded prompt is rendered again from its recorded facts: no archive of that moment is needed for it.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from agent.proposers.llm.configuration.settings import Form
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import BASELINE, CONTRACTS, REFERENCE, Layer

LONGEST_IDEA = 60
"""Characters of what a model calls its idea that the name of its variant keeps."""
LONGEST_CLAIM = 400
"""Characters of a claim of the notebook that are kept."""


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
    loop: str = ""
    """The loop alone, in place of `source`, where the file around it is the baseline's."""
    around: tuple[str, ...] = ()
    """Lines around the loop that differ from the baseline's, as a diff."""


class ShownAttempt(Fact):
    """An earlier attempt that is told in full. Names are short ones."""

    name: str
    parent: str
    second_parent: str = ""
    title: str
    diff: tuple[str, ...]
    """What it changed of its parent's loop, line by line."""
    is_parent: bool = False
    """Whether its loop is shown as a parent's, and `diff` is left out."""
    mathematics: str
    lines: tuple[str, ...]
    """What became of it: against its parent, against its predictions, on fresh seeds."""


class LeaderboardRow(Fact):
    """One line of a leaderboard: cells as they are printed, in the order of the tasks."""

    name: str
    cells: tuple[str, ...]
    rank: float
    """What rows are ordered and cut by, the highest first."""
    keep: bool = False
    """Never cut: baseline, reference, parents and the best of each task."""
    lacks: str = ""
    """What it lacks to the challenge, in units of noise; as it is printed."""


class RungRows(Fact):
    """Rows that were measured under a larger protocol, with its tasks for columns."""

    protocol: str
    tasks: tuple[TaskName, ...]
    rows: tuple[LeaderboardRow, ...]


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
    tasks: tuple[TaskName, ...]
    """All tasks of the protocol: what is predicted, and the columns of `measured`."""
    parent: ShownKernel
    others: tuple[ShownKernel, ...]
    nearest_first: tuple[str, ...] = ()
    """Names of parents, the nearest to the challenge first: of two, a variant is compared with the nearer."""
    base: ShownKernel | None
    """The baseline's whole file, where the form is code: loops of others are shown without what is around them."""
    measured: tuple[LeaderboardRow, ...]
    published: tuple[LeaderboardRow, ...]
    measured_rest: str = ""
    """A sentence on the measured rows that are not shown."""
    published_tasks: tuple[TaskName, ...] = MAD_TASKS
    """The columns of `published`; prompts that were recorded before these were told apart have the same for both."""
    above: tuple[RungRows, ...] = ()
    """What was measured under larger protocols."""
    insights: tuple[str, ...]
    """What the leaderboard says, computed: leaders, gaps to the reference, what is only noise."""
    structure: tuple[str, ...]
    history: tuple[str, ...]
    """Earlier attempts that `attempts` does not tell of, the newest first."""
    attempts: tuple[ShownAttempt, ...] = ()
    """The best and the most telling of the earlier attempts."""
    scales: tuple[LeaderboardRow, ...] = ()
    """What measured scores are held against: goal, noise, floor, ceiling."""
    seeds: tuple[LeaderboardRow, ...] = ()
    """Scores seed by seed, of the parents, the baseline and the reference."""
    speed: tuple[LeaderboardRow, ...] = ()
    """How soon the training loss came down, of the same."""
    reference_about: tuple[str, ...] = ()
    """What the reference computes and learns; for the code form."""
    notebook: tuple[str, ...] = ()
    """The claims of the notebook in force, with their evidence; for the code form."""
    literature: tuple[str, ...] = ()
    """Ideas from papers that fit what is looked at first; for the code form."""
    moved: tuple[str, ...] = ()
    """What raised and what lowered the task that is looked at first."""
    calibration: tuple[str, ...]
    under_way: tuple[str, ...]
    focus: str
    """What to look at first, to follow `Look first at`."""
    mechanisms: tuple[MechanismFact, ...] = ()
    tasks_about: tuple[str, ...] = ()
    """What each task asks for, and its sizes under the protocol."""
    model_about: tuple[str, ...] = ()
    """What stands before and after the kernel, and the scales that arrive; for the code form."""
    judged_by: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    function: str = CONTRACTS[Layer.DELTA_NET].function
    inputs: tuple[str, ...] = CONTRACTS[Layer.DELTA_NET].inputs
    baseline: str = BASELINE
    reference: str = REFERENCE

    @property
    def longest_idea(self) -> int:
        """Characters of a name that are kept."""
        return LONGEST_IDEA

    @property
    def longest_claim(self) -> int:
        """Characters of a claim of the notebook that are kept."""
        return LONGEST_CLAIM

    @property
    def parents(self) -> tuple[str, ...]:
        """Names that the reply may state as its parent, the leading one first."""
        return tuple(kernel.name for kernel in (self.parent, *self.others))
