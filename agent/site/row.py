"""What the tables and figures of the site know of one variant: small, plain and safe to show."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Literal

from pydantic import Field

from agent.analysis.leaderboard_facts import short
from agent.site.text import visible
from archive.confirmations import Confirmation, Difference
from archive.record import Record
from evaluator.outcomes import Comparison, Score, Status, Trial, Value, Verdict
from evaluator.statistics.scorecards import CONFIDENCE, quantile, scorecard, seed_accuracies, sum_of_squares, verdict
from variants.contract import BASELINE, REFERENCE, TASKS, Task

DAMAGED = "DAMAGED"
"""In place of the status of a record that cannot be read."""
UNIT = 10_000
"""Accuracies are whole numbers of this fraction: half the size of a decimal, and exact to more than any noise."""

Role = Literal["reference", "baseline", "parent"]
Span = tuple[int, int, int, int]
"""Mean, low, high, number of seeds."""
Outcome = Literal["better", "worse", "indistinguishable", "inert"]
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
    """One variant under one protocol. Lists have one entry for each of `TASKS`."""

    kind: Literal["proposal", "seed"]
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
    """Mean of the six tasks."""
    versus: dict[Role, tuple[Against | None, ...]] = Field(default_factory=dict)
    predictions: tuple[tuple[int, int, int] | None, ...] = ()
    discovered: dict[Role, float] = Field(default_factory=dict)
    """Of the mean against the variant in that role: p adjusted for all that were tried (false discovery rate)."""
    fresh: Fresh | None = None
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
        name=short(name),
        title="This record cannot be read",
        status=DAMAGED,
        reason=visible(problem, 1_000),
        number=number,
        page=page_of(number),
        parent=short(parent) or None,
    )


def proposal_row(record: Record, further: Sequence[Trial] = (), fresh: Confirmation | None = None) -> Row:
    """The row of a record.

    With `further` trials of the same variant its scores are those of all of them; its verdicts stay those on record.
    """
    proposal, cost = record.proposal, record.cost
    trials = [*record.trials, *further] if record.scorecard else []
    scores = scorecard(trials).scores if trials else {}
    known = {found.against: _against(found) for found in record.verdicts}
    others: dict[Role, str] = {"reference": REFERENCE, "baseline": BASELINE, "parent": proposal.parent}
    return Row(
        kind="proposal",
        name=short(proposal.variant.name),
        title=visible(proposal.title, 200),
        why=visible(proposal.motivation, 400),
        status=record.status,
        reason=visible(record.reason, 300),
        number=record.number,
        page=page_of(record.number),
        parent=short(proposal.parent),
        parents=tuple(short(name) for name in proposal.provenance.parents),
        twin=visible(short(record.check.duplicate_of), 200) if record.check and record.check.duplicate_of else None,
        proposer=visible(proposal.provenance.proposer, 80),
        model=visible(proposal.provenance.model or "", 80),
        created=visible(record.created, 40),
        scores=spans(scores),
        whole=whole(trials),
        versus={role: known[other] for role, other in others.items() if other in known},
        predictions=tuple(
            (_units(p.mean), _units(p.low), _units(p.high)) if (p := proposal.predictions.get(task)) else None
            for task in TASKS
        ),
        fresh=_fresh(fresh) if fresh is not None else None,
        cpu=round(cost.cpu_seconds, 1),
        tokens=cost.prompt_tokens + cost.completion_tokens,
        usd=cost.usd,
    )


def _fresh(found: Confirmation) -> Fresh:
    return Fresh(
        outcome=found.outcome,
        against=visible(short(found.against), 200),
        first=_difference(found.first),
        fresh=_difference(found.fresh) if found.fresh is not None else None,
        reason=visible(found.reason, 300),
    )


def _difference(found: Difference) -> Span:
    return _units(found.mean), _units(found.low), _units(found.high), found.n


def seed_row(name: str, parent: str | None, scores: Mapping[Task, Score], verdicts: Mapping[Role, Verdict],
             trials: Sequence[Trial]) -> Row:  # fmt: skip
    """The row of a variant that no proposal of this archive made."""
    return Row(
        kind="seed",
        name=visible(short(name), 200),
        title="",
        status=Status.SCORED,
        parent=short(parent) if parent else None,
        scores=spans(scores),
        whole=whole(trials) if trials else _mean_of(scores),
        versus={role: _against(found) for role, found in verdicts.items()},
        cpu=round(sum(trial.cpu_seconds for trial in trials), 1),
    )


def verdicts_of(name: str, parent: str | None, trials: Mapping[str, Sequence[Trial]]) -> dict[Role, Verdict]:
    """Paired comparisons of one variant with reference, baseline and parent, as far as there are trials of these."""
    others: dict[Role, str | None] = {"reference": REFERENCE, "baseline": BASELINE, "parent": parent}
    return {
        role: verdict(trials[name], trials[other], other)
        for role, other in others.items()
        if other is not None and other != name and other in trials
    }


def spans(scores: Mapping[Task, Score]) -> tuple[Span | None, ...]:
    """Scores in the order of the tasks."""
    return tuple(_span(scores[task]) if task in scores else None for task in TASKS)


def whole(trials: Iterable[Trial]) -> Span | None:
    """Mean of the six tasks with Student's t interval over the seeds that have all six; None where no seed has."""
    by_task = seed_accuracies(trials)
    if set(by_task) != set(TASKS):
        return None
    seeds = set.intersection(*(set(found) for found in by_task.values()))
    values = [fmean(by_task[task][seed] for task in TASKS) for seed in sorted(seeds)]
    if len(values) < 2:
        return _mean_of({t: Score(mean=fmean(s.values()), low=0, high=0, n=1) for t, s in by_task.items()})
    half = quantile(0.5 + CONFIDENCE / 2, len(values) - 1) * math.sqrt(
        sum_of_squares(values) / (len(values) - 1) / len(values)
    )
    mean = fmean(values)
    return _units(mean), max(0, _units(mean - half)), min(UNIT, _units(mean + half)), len(values)


def _mean_of(scores: Mapping[Task, Score]) -> Span | None:
    if set(scores) != set(TASKS):
        return None
    mean = _units(fmean(score.mean for score in scores.values()))
    return mean, mean, mean, 1


def _against(found: Verdict) -> tuple[Against | None, ...]:
    return tuple(_comparison(found.tasks[task]) if task in found.tasks else None for task in TASKS)


def _comparison(found: Comparison) -> Against:
    return found.outcome, _units(found.difference), _units(found.low), _units(found.high), found.n


def _span(score: Score) -> Span:
    return _units(score.mean), _units(score.low), _units(score.high), score.n


def _units(value: float) -> int:
    return round(value * UNIT)
