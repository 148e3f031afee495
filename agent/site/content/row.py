"""What the tables and figures of the site know of one variant: small, plain and safe to show."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Literal

from pydantic import Field

from agent.analysis.boards.sizes import NO_SIZE, Size, record_size
from agent.site.content.text import visible
from agent.words import NO_EFFECT
from archive.confirmations import Confirmation, Difference
from archive.records.record import Record
from archive.records.runs import once
from evaluator.outcomes import Comparison, Outcome, Score, Status, Trial, Verdict
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.intervals import student_interval
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.statistics.scorecards import scorecard, seed_accuracies
from evaluator.statistics.verdicts import TaskNoise, verdict
from evaluator.tasks.names import TaskName
from evaluator.values import Value
from variants.contract import BASELINE, REFERENCE, short_name

DAMAGED = "DAMAGED"
"""In place of the status of a record that cannot be read."""
UNIT = 1_000_000
"""Accuracies are whole numbers of this fraction: so fine that three digits of it are three digits of the accuracy."""

Kind = Literal["proposal", "seed", "reference", "control"]
"""A proposal, a variant that was there, the reference in another layer, or a control."""
Role = Literal["reference", "baseline", "parent"]
Span = tuple[int, int, int, int]
"""Mean, low, high, number of seeds."""
Against = tuple[Outcome, int, int, int, int]
"""Outcome, difference, low, high, number of seeds."""


class Fresh(Value):
    """What became of a would-be new best on fresh seeds. Differences of the mean, in units, with their intervals."""

    outcome: Literal["confirmed", "refuted", "open", "failed", "unfinished"]
    against: str
    first: Span
    fresh: Span | None
    reason: str


class Row(Value):
    """One variant under one protocol. Lists have one entry for each of the protocol's tasks."""

    kind: Kind
    name: str
    title: str = ""
    why: str = ""
    status: str
    reason: str = ""
    number: int | None = None
    page: str | None = None
    parent: str | None = None
    parents: tuple[str, ...] = ()
    twin: str | None = None
    proposer: str = ""
    model: str = ""
    created: str = ""
    scores: tuple[Span | None, ...] = ()
    whole: Span | None = None
    """Mean of all tasks of the protocol."""
    distance: float | None = None
    """To the challenge, in units of noise."""
    versus: dict[Role, tuple[Against | None, ...]] = Field(default_factory=dict)
    predictions: tuple[tuple[int, int, int] | None, ...] = ()
    discovered: dict[Role, float] = Field(default_factory=dict)
    """Of the mean against the variant in that role: p adjusted for all that were tried (false discovery rate)."""
    fresh: Fresh | None = None
    size: Size = NO_SIZE
    cpu: float = 0.0
    tokens: int = 0
    usd: float | None = None


def page_of(number: int) -> str:
    """Where a proposal's page is, relative to the site's root."""
    return f"proposals/{number:04d}.html"


def damaged_row(number: int, name: str, parent: str, problem: str) -> Row:
    """The row of a record that cannot be read."""
    return Row(
        kind="proposal",
        name=short_name(name),
        title="This record cannot be read",
        status=DAMAGED,
        reason=visible(problem, 1_000),
        number=number,
        page=page_of(number),
        parent=short_name(parent) or None,
    )


def proposal_row(record: Record, further: Sequence[Trial] = (), fresh: Confirmation | None = None) -> Row:
    """The row of a record.

    With `further` trials of the same variant its scores are those of all of them; its verdicts stay those on record.
    """
    proposal, cost = record.proposal, record.cost
    trials = once((*record.trials, *further)) if record.scorecard else ()
    scores = scorecard(trials).scores if trials else {}
    tasks = tasks_of(record.protocol)
    known = {found.against: _against(found, tasks) for found in record.verdicts}
    others: dict[Role, str] = {"reference": REFERENCE, "baseline": BASELINE, "parent": proposal.parent}
    return Row(
        kind="proposal",
        name=short_name(proposal.variant.name),
        title=visible(proposal.title, 200),
        why=visible(proposal.motivation, 400),
        status=NO_EFFECT if record.no_effect else record.status,
        reason=visible(record.reason, 300),
        number=record.number,
        page=page_of(record.number),
        parent=short_name(proposal.parent),
        parents=tuple(short_name(name) for name in proposal.provenance.parents),
        twin=visible(short_name(record.check.duplicate_of), 200)
        if record.check and record.check.duplicate_of
        else None,
        proposer=visible(proposal.provenance.proposer, 80),
        model=visible(proposal.provenance.model or "", 80),
        created=visible(record.created, 40),
        scores=spans(scores, tasks),
        whole=whole(trials, tasks),
        versus={role: known[other] for role, other in others.items() if other in known},
        predictions=tuple(
            (units(p.mean), units(p.low), units(p.high)) if (p := proposal.predictions.get(task)) else None
            for task in tasks
        ),
        fresh=_fresh(fresh) if fresh is not None else None,
        size=record_size(record),
        cpu=round(cost.cpu_seconds, 1),
        tokens=cost.prompt_tokens + cost.completion_tokens,
        usd=cost.usd,
    )


def _fresh(found: Confirmation) -> Fresh:
    return Fresh(
        outcome=found.outcome,
        against=visible(short_name(found.against), 200),
        first=_difference(found.first),
        fresh=_difference(found.fresh) if found.fresh is not None else None,
        reason=visible(found.reason, 300),
    )


def _difference(found: Difference) -> Span:
    return units(found.mean), units(found.low), units(found.high), found.n


def seed_row(
    name: str,
    parent: str | None,
    scores: Mapping[TaskName, Score],
    verdicts: Mapping[Role, Verdict],
    trials: Sequence[Trial],
    tasks: Sequence[TaskName],
    size: Size = NO_SIZE,
) -> Row:
    """The row of a variant that no proposal of this archive made. `tasks`: of the board's protocol."""
    return Row(
        kind="seed",
        name=visible(short_name(name), 200),
        title="",
        status=Status.SCORED,
        parent=short_name(parent) if parent else None,
        scores=spans(scores, tasks),
        whole=whole(trials, tasks) if trials else _mean_of(scores, tasks),
        versus={role: _against(found, tasks) for role, found in verdicts.items()},
        size=size,
        cpu=round(sum(trial.cpu_seconds for trial in trials), 1),
    )


def verdicts_of(
    name: str, parent: str | None, trials: Mapping[str, Sequence[Trial]], noise: TaskNoise
) -> dict[Role, Verdict]:
    """Paired comparisons of one variant with reference, baseline and parent, as far as there are trials of these."""
    others: dict[Role, str | None] = {"reference": REFERENCE, "baseline": BASELINE, "parent": parent}
    return {
        role: verdict(trials[name], trials[other], other, noise)
        for role, other in others.items()
        if other is not None and other != name and other in trials
    }


def spans(scores: Mapping[TaskName, Score], tasks: Sequence[TaskName]) -> tuple[Span | None, ...]:
    """Scores in the order of the tasks."""
    return tuple(_span(scores[task]) if task in scores else None for task in tasks)


def whole(trials: Iterable[Trial], tasks: Sequence[TaskName]) -> Span | None:
    """Mean of all tasks, as `mean_over_tasks` has it, with Student's t interval over the seeds that have them all.

    None where a task was not measured.
    """
    by_task = seed_accuracies(trials)
    if set(by_task) != set(tasks):
        return None
    seeds = set.intersection(*(set(found) for found in by_task.values()))
    values = [fmean(by_task[task][seed] for task in tasks) for seed in sorted(seeds)]
    mean = fmean(fmean(by_task[task].values()) for task in tasks)
    if len(values) < 2:
        return units(mean), units(mean), units(mean), 1
    _, low, high = student_interval(values)
    return units(mean), max(0, units(low)), min(UNIT, units(high)), len(values)


def _mean_of(scores: Mapping[TaskName, Score], tasks: Sequence[TaskName]) -> Span | None:
    mean = mean_over_tasks(scores, tasks)
    return None if mean is None else (units(mean), units(mean), units(mean), 1)


def _against(found: Verdict, tasks: Sequence[TaskName]) -> tuple[Against | None, ...]:
    return tuple(_comparison(found.tasks[task]) if task in found.tasks else None for task in tasks)


def _comparison(found: Comparison) -> Against:
    return found.outcome, units(found.difference), units(found.low), units(found.high), found.n


def _span(score: Score) -> Span:
    return units(score.mean), units(score.low), units(score.high), score.n


def units(value: float) -> int:
    """An accuracy or a difference as a whole number of units."""
    return round(value * UNIT)
