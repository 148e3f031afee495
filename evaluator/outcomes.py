"""What evaluation says of a variant: findings of the checks, trials, scorecard and verdict. Plain values."""

import contextlib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, ValidationError

from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import VariantName

CheckName = Literal[
    "syntax", "fence", "signature", "shapes", "finite", "gradients", "mutation", "determinism", "causality", "prefix",
    "batch", "heads", "lengths", "complexity", "state", "scope", "timeout", "crash", "memory",
]  # fmt: skip


class Status(StrEnum):
    """How a proposal or a trial ended. A score exists if and only if it is SCORED."""

    SCORED = "SCORED"
    REJECTED = "REJECTED"
    DUPLICATE = "DUPLICATE"
    FAILED = "FAILED"
    PRUNED = "PRUNED"
    INTERRUPTED = "INTERRUPTED"


class Grade(StrEnum):
    """Strength of the sandbox: A bwrap + Landlock + seccomp; B without bwrap; C seccomp only; D rlimits only."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class Finding(Value):
    """The result of one check, with its counterexample as evidence when it failed."""

    check: CheckName
    status: Literal["pass", "warn", "fail"]
    message: str
    evidence: dict[str, Any] = Field(default_factory=dict)


STATE_DIM = 64
BASELINE_STATE = STATE_DIM * STATE_DIM
"""Numbers that the baseline carries a head where keys and values have STATE_DIM each: one matrix."""


class StateSize(Value):
    """What a kernel carries from chunk to chunk, a head, where keys and values have STATE_DIM: the candidate's word."""

    numbers: int | None
    """None where it cannot be told."""
    shapes: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """By the name that carries it; a list of tensors has its count of numbers alone."""
    grows: bool = False
    """Whether it is larger where there are more chunks; `numbers` is that of the longer."""


class CheckReport(Value):
    """All findings on one variant."""

    name: VariantName
    verdict: Literal["pass", "fail"]
    duplicate_of: str | None = None
    no_op: bool = False
    """Computes what its parent does at every setting of the protocol: nothing to train."""
    multiple: float | None = None
    """Its output is `duplicate_of`'s times this on every probe; None where it is the same."""
    inert_tasks: tuple[TaskName, ...] = ()
    """Tasks at none of whose settings the variant can differ from its parent."""
    inert_settings: dict[TaskName, tuple[str, ...]] = Field(default_factory=dict)
    """Settings, by their id, at which it cannot; also in tasks where it can at others."""
    sandbox_grade: Grade
    seconds: float
    findings: tuple[Finding, ...]
    fingerprint: tuple[float, ...] = ()
    probes: str = ""
    """Hash of the probes that the fingerprint is of; only prints of the same probes compare."""

    @property
    def state(self) -> StateSize | None:
        """What the check `state` measured; None where there was none, or it did not come so far."""
        return state_of(found.evidence for found in self.findings if found.check == "state")


def state_of(evidence: Iterable[Mapping[str, Any]]) -> StateSize | None:
    """The state size that a check measured; None for none, or for evidence of another form, which does not compare."""
    for found in evidence:
        with contextlib.suppress(ValidationError):
            return StateSize.model_validate(found)
    return None


class Failure(Value):
    """Why a variant's code gave no result: a fact about the variant, never an error of archer's."""

    kind: Literal["crash", "timeout", "memory", "garbage", "diverged", "noncausal"]
    message: str


class CurvePoint(Value):
    """One point of a learning curve, as reported by the training process (untrusted, for reading only)."""

    step: int
    loss: float


class Trial(Value):
    """One training run (variant × setting × lr × wd × seed) and the score that the parent process gave it."""

    variant: VariantName
    source_hash: str
    protocol: str
    protocol_hash: str
    task: TaskName
    setting: str
    lr: float
    weight_decay: float
    seed: int
    status: Status
    accuracy: float | None = None
    test_loss: float | None = None
    predictions: int = 0
    certificate: float | None = None
    """Largest change of a logit before the cut when the future was replaced, relative to the logits' scale."""
    inherited_from: str | None = None
    """Name of the variant whose result this is, where the two cannot differ at this setting."""
    failure: Failure | None = None
    curve: tuple[CurvePoint, ...] = ()
    steps: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    weights_hash: str | None = None
    sandbox_grade: Grade
    isolation: Literal["sandbox", "split"] = "sandbox"
    device: str = "cpu"
    members: int = 1
    """Trials that trained as one model with this one; more than one changes the last bits of the weights."""
    eager: str = ""
    """Why a GPU launched the operations of each step one by one instead of replaying a CUDA graph; empty on a CPU."""
    versions: dict[str, str] = Field(default_factory=dict)


class Score(Value):
    """Accuracy of one task over n seeds: mean and a 95 % interval (low = high = mean where n is 1)."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half of the interval: the longer side, since the other one may have been cut off at 0 or 1."""
        return max(self.high - self.mean, self.mean - self.low)


class Scorecard(Value):
    """Scores per task of one variant under one protocol."""

    variant: VariantName
    protocol: str
    protocol_hash: str
    scores: dict[TaskName, Score]


Outcome = Literal["better", "worse", "indistinguishable", "inert"]
"""What a comparison says: inert is where the two cannot differ."""


class Comparison(Value):
    """Paired difference to another variant on one task, over the seeds both have."""

    outcome: Outcome
    difference: float
    low: float
    high: float
    n: int


class Verdict(Value):
    """Comparisons per task against one other variant."""

    against: VariantName
    tasks: dict[TaskName, Comparison]
