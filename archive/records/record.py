"""Records of the archive: a proposal, its result and its cost."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from evaluator.outcomes import CheckReport, Scorecard, StateSize, Status, Trial, Verdict
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import Variant, VariantName

ROUNDING = 1e-4
"""Predictions have four digits."""
BY_HAND = "hand"
"""Proposer of what `archer evaluate --add` adds: no search proposed it."""


def moment(text: str) -> datetime:
    """The moment in a record, ISO 8601 with its time zone. Raises ValueError for what is none of archer's time."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or not 1970 <= found.year < 2200:
        raise ValueError(f"{text!r} is no moment with a time zone, from 1970 to 2199")
    return found


def _is_moment(text: str) -> str:
    moment(text)
    return text


Moment = Annotated[str, AfterValidator(_is_moment)]
"""ISO 8601, with a time zone."""


class Prediction(Value):
    """Accuracy expected of a task under the protocol, with an 80 % interval, written before any training."""

    mean: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    why: str = ""

    def holds(self, accuracy: float) -> bool:
        """Whether an accuracy lies in the interval, to the digits that predictions have."""
        return self.low - ROUNDING <= accuracy <= self.high + ROUNDING


class Provenance(Value):
    """Who proposed it, and with which inputs: enough to ask for the same proposal again."""

    proposer: str
    seed: int
    model: str | None = None
    prompt_hash: str | None = None
    parents: tuple[VariantName, ...] = ()
    mechanisms: dict[str, Any] = Field(default_factory=dict)
    """The genome, for a proposer that has one: slot -> {mechanism, parameters}."""


class Note(Value):
    """One claim of a notebook: what a model holds to be known, and the names of the variants that show it."""

    claim: str
    links: tuple[str, ...]


class Proposal(Value):
    """A variant with its hypothesis: the analysis that led to it and numbers that can prove it wrong."""

    variant: Variant
    parent: VariantName
    title: str
    insights: tuple[str, ...]
    motivation: str
    mathematics: str
    predictions: dict[TaskName, Prediction]
    differences: tuple[str, ...]
    next_steps: tuple[str, ...]
    provenance: Provenance
    second_parent: VariantName | None = None
    """A further variant that it takes something from; scores are compared with those of `parent` alone."""
    notebook: tuple[Note, ...] = ()
    """The notebook of the search as the model left it for the asks that follow; empty where it wrote none."""


class Cost(Value):
    """What a proposal cost. `usd` is None where the price is unknown, never 0 by default."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = None


class Origin(Value):
    """Where a merged proposal comes from: its folder name and its commit in the other archive."""

    id: str
    commit: str
    renamed: dict[str, str] = Field(default_factory=dict)
    """Variants whose names were taken here: name in the other archive -> name here. Exchanges keep the old names."""


class Exchange(Value):
    """One attempt at a reply: the prompt as sent and the reply as received; never a key."""

    attempt: int
    prompt: str
    reply: str | None
    error: str | None = None
    usage: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0


class Record(Value):
    """One proposal with everything that archer recorded about it. The number identifies it in an archive."""

    number: int
    created: Moment
    proposal: Proposal
    status: Status
    reason: str = ""
    no_effect: bool = False
    """Its change never acted: the first trainings ended in the parent's bits, and its other trials are the parent's."""
    protocol: str
    protocol_hash: str
    check: CheckReport | None = None
    trials: tuple[Trial, ...] = ()
    scorecard: Scorecard | None = None
    verdicts: tuple[Verdict, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    cost: Cost = Cost()
    predicted: str | None = None
    """The commit, on the branch `predictions`, that held the predictions before the first trial."""
    format: Literal[1] = 1

    @property
    def id(self) -> str:
        """Folder name of the record: `0001-NAME`."""
        return f"{self.number:04d}-{self.proposal.variant.name}"

    @property
    def state(self) -> StateSize | None:
        """What its kernel carries from chunk to chunk; None where that was not measured."""
        return None if self.check is None else self.check.state
