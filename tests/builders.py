"""Values that tests are about: each builder fills in whatever its caller does not name.

`make_record(Status.REJECTED, name="x", reason="leaks")` is a whole record. Fields of a record's proposal can be given
to `make_record` too, since no two of their fields have the same name.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import SEED_GENOMES
from archive.records.record import Prediction, Proposal, Provenance, Record
from archive.seeding import create
from archive.store import Archive
from archive.tables.leaderboard_csv import PUBLISHED, read_leaderboard
from evaluator.outcomes import CheckReport, Comparison, Finding, Grade, Score, Scorecard, Status, Trial, Verdict
from evaluator.protocols.built_in import QUICK, SMOKE
from evaluator.protocols.protocol import Protocol
from evaluator.statistics.scorecards import scorecard
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import BASELINE, Variant
from variants.seeds import seed_variants

__all__ = [
    "NAME",
    "SOURCE",
    "make_archive_of",
    "make_check",
    "make_comparison",
    "make_predictions",
    "make_proposal",
    "make_provenance",
    "make_record",
    "make_score",
    "make_scorecard",
    "make_scores",
    "make_snapshot",
    "make_tiny_protocol",
    "make_trial",
    "make_trials",
    "make_variant",
    "make_verdict",
]  # fmt: skip

NAME = "delta_net_4layer_x_in_for_loop"
SOURCE = "def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n    return v, None\n"
"""A kernel that nobody runs."""


def make_variant(name: str = NAME, source: str = SOURCE) -> Variant:
    """A variant of that name."""
    return Variant(name=name, source=source)


def make_trial(
    variant: Variant | str = NAME,
    task: str = "Memorize",
    seed: int = 0,
    accuracy: float | None = 0.5,
    *,
    protocol: Protocol = QUICK,
    **fields: Any,
) -> Trial:
    """One training run; a failed one where `accuracy` is None. A variant by its name alone has no source hash."""
    own = variant if isinstance(variant, Variant) else None
    defaults: dict[str, Any] = {
        "variant": own.name if own else variant,
        "source_hash": own.source_hash if own else "",
        "protocol": protocol.name,
        "protocol_hash": protocol.hash,
        "task": task,
        "setting": "only",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "seed": seed,
        "status": Status.FAILED if accuracy is None else Status.SCORED,
        "accuracy": accuracy,
        "sandbox_grade": Grade.A,
    }
    return Trial.model_validate(defaults | fields)


def make_trials(
    variant: Variant | str = NAME, accuracies: float | Sequence[float] = 0.5, **fields: Any
) -> tuple[Trial, ...]:
    """Trials of all tasks, one a task and accuracy: seed 0 has the first. A single number is that of seed 0 of three.

    Its seeds are 0.01 apart: 0.5 stands for 0.50, 0.51, 0.52.
    """
    by_seed = [accuracies + seed / 100 for seed in range(3)] if isinstance(accuracies, float) else accuracies
    return tuple(make_trial(variant, task, seed, x, **fields) for seed, x in enumerate(by_seed) for task in MAD_TASKS)


def make_score(mean: float, half: float = 0.0, n: int = 3) -> Score:
    """A score whose interval reaches `half` to both sides, within 0 and 1."""
    return Score(mean=mean, low=max(0.0, mean - half), high=min(1.0, mean + half), n=n)


def make_scores(*means: float, half: float = 0.0, n: int = 3) -> dict[str, Score]:
    """Scores of all tasks, in their order; a single mean is every task's."""
    every = means * len(MAD_TASKS) if len(means) == 1 else means
    return {task: make_score(mean, half, n) for task, mean in zip(MAD_TASKS, every, strict=True)}


def make_scorecard(scores: Mapping[str, Score], variant: str = NAME, protocol: Protocol = QUICK) -> Scorecard:
    """Scores that no trials are behind."""
    return Scorecard(variant=variant, protocol=protocol.name, protocol_hash=protocol.hash, scores=dict(scores))


def make_comparison(outcome: str, difference: float = 0.1, half: float = 0.0, n: int = 3) -> Comparison:
    """A difference whose interval reaches `half` to both sides."""
    low, high = difference - half, difference + half
    return Comparison.model_validate({"outcome": outcome, "difference": difference, "low": low, "high": high, "n": n})


def make_verdict(tasks: Mapping[str, Comparison] | Comparison, against: str = BASELINE) -> Verdict:
    """Comparisons by task; a single one is every task's."""
    return Verdict(
        against=against, tasks=dict.fromkeys(MAD_TASKS, tasks) if isinstance(tasks, Comparison) else dict(tasks)
    )


def make_check(*findings: Finding, name: str = NAME, **fields: Any) -> CheckReport:
    """A report of the checks; its verdict follows from the findings."""
    verdict = "fail" if any(finding.status == "fail" for finding in findings) else "pass"
    defaults: dict[str, Any] = {
        "name": name,
        "verdict": verdict,
        "sandbox_grade": Grade.A,
        "seconds": 1.0,
        "findings": findings,
    }
    return CheckReport.model_validate(defaults | fields)


def make_predictions(mean: float = 0.5, half: float = 0.1, why: str = "") -> dict[str, Prediction]:
    """The same prediction for every task."""
    return dict.fromkeys(MAD_TASKS, Prediction(mean=mean, low=mean - half, high=mean + half, why=why))


def make_provenance(proposer: str = "evolve", **fields: Any) -> Provenance:
    """Where a proposal comes from."""
    return Provenance.model_validate({"proposer": proposer, "seed": 0} | fields)


def make_proposal(variant: Variant | None = None, **fields: Any) -> Proposal:
    """A proposal with every text filled in."""
    defaults: dict[str, Any] = {
        "variant": variant or make_variant(),
        "parent": BASELINE,
        "title": "An idea",
        "insights": ("a",),
        "motivation": "because",
        "mathematics": "S += 1",
        "predictions": make_predictions(),
        "differences": ("b",),
        "next_steps": ("c",),
        "provenance": make_provenance(),
    }
    return Proposal(**(defaults | fields))


def make_record(
    status: Status = Status.SCORED,
    name: str = NAME,
    *,
    source: str = SOURCE,
    accuracy: float = 0.6,
    protocol: Protocol = QUICK,
    proposal: Proposal | None = None,
    **fields: Any,
) -> Record:
    """A proposal and what became of it. A scored one has trials around `accuracy` and the scorecard of its trials.

    fields: of the record or of its proposal; a proposal that is given whole has the variant, and takes no fields.
    """
    of_proposal = {field: fields.pop(field) for field in Proposal.model_fields if field in fields}
    if proposal is None:
        proposal = make_proposal(make_variant(name, source), **of_proposal)
    elif of_proposal:
        raise TypeError(f"the proposal is given whole: {', '.join(of_proposal)} would change nothing")
    trials = fields.get("trials")
    if trials is None:
        trials = make_trials(proposal.variant, accuracy, protocol=protocol) if status is Status.SCORED else ()
    defaults: dict[str, Any] = {
        "number": 0,
        "created": "2026-01-01T00:00:00Z",
        "proposal": proposal,
        "status": status,
        "protocol": protocol.name,
        "protocol_hash": protocol.hash,
        "trials": trials,
        "scorecard": scorecard(trials) if trials and status is Status.SCORED else None,
    }
    return Record(**(defaults | fields))


def make_snapshot(**fields: Any) -> ArchiveSnapshot:
    """What a proposer is told of an archive under `quick` without proposals: the seeds and the published table."""
    defaults: dict[str, Any] = {
        "protocol": QUICK.name,
        "standings": {},
        "published": read_leaderboard(PUBLISHED),
        "noise": {},
        "history": (),
        "under_way": (),
        "variants": seed_variants(),
        "genomes": SEED_GENOMES,
        "seed": 0,
    }
    return ArchiveSnapshot(**(defaults | fields))


def make_archive_of(
    root: Path, variants: Sequence[Variant], trials: Sequence[Trial] | None = None, *, published: bool = False
) -> Archive:
    """A real archive with these variants as generation 0, each with trials around 0.5 where none are given."""
    if trials is None:
        trials = [trial for variant in variants for trial in make_trials(variant)]
    tables = {"published": PUBLISHED.read_text(encoding="utf-8")} if published else {}
    return create(root, {variant.name: variant for variant in variants}, trials, tables)


def make_tiny_protocol(**fields: Any) -> Protocol:
    """`smoke` cut down to what takes no time: two steps, eight test examples, one cut."""
    least: dict[str, Any] = {"steps": 2, "test_examples": 8, "cuts": 1}
    tasks = {task: plan.model_copy(update=least) for task, plan in SMOKE.tasks.items()}
    return SMOKE.model_copy(update={"tasks": tasks} | fields)
