"""What a variant showed on the seeds by which it may have been chosen, beside fresh ones: regression to the mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.terminal.view import name_markup, scores_json
from archive.confirmations import Difference
from evaluator.outcomes import Score, Trial
from evaluator.statistics.moderated_t_test import effect, mean_noise, paired
from evaluator.statistics.scorecards import scorecard
from evaluator.tasks.registry import TaskName

Scores = Mapping[TaskName, Score]
Trials = Mapping[str, Sequence[Trial]]


@dataclass(frozen=True)
class FreshComparison:
    """Scores and the mean difference to the parent, twice. Empty and None where nothing was measured before."""

    against: str
    first: Scores
    again: Scores
    first_difference: Difference | None
    fresh_difference: Difference | None

    @classmethod
    def of(cls, name: str, against: str, known: Trials, new: Trials, tasks: Sequence[TaskName]) -> "FreshComparison":
        """`known`: everyone's trials under the protocol, which tell the noise, too; `new`: on fresh seeds, of both."""
        known = {who: [trial for trial in own if trial.task in tasks] for who, own in known.items()}
        noise = mean_noise(known, tasks)

        def difference(trials: Trials) -> Difference | None:
            pairs = paired(trials.get(name, ()), trials.get(against, ()), tasks) if name != against else []
            found = effect(pairs, noise)
            return None if found is None else Difference.of(found)

        first, again = (scorecard(own[name]).scores if own.get(name) else {} for own in (known, new))
        return cls(against, first, again, difference(known), difference(new))

    def lines(self) -> Iterator[str]:
        """For people, with Rich's markup; nothing where there is no first score to put beside."""
        if self.first:
            yield "[bold]the first seeds, and fresh ones[/] (what was chosen by the first falls back on the second)"
            yield from task_lines(self.first, self.again)
        if self.fresh_difference is not None:
            first = f"first {told(self.first_difference)}; " if self.first_difference else ""
            yield f"mean difference to {name_markup(self.against)}: {first}fresh {told(self.fresh_difference)}"

    def to_json(self) -> dict[str, Any]:
        """As `archer evaluate --confirm --json` prints it."""
        first, fresh = (
            found.model_dump(mode="json") if found else None for found in (self.first_difference, self.fresh_difference)
        )
        return {"first_scores": scores_json(self.first), "difference": {"first": first, "fresh": fresh}}


def task_lines(first: Scores, again: Scores) -> Iterator[str]:
    """Each task's score on the first seeds, on fresh ones, and the change."""
    for task, score in first.items():
        if (found := again.get(task)) is not None:
            yield (
                f"  {task:15} first {_score(score)}; fresh {_score(found)}; {found.mean - score.mean:+.3f} to the first"
            )


def told(found: Difference) -> str:
    """A difference with its interval."""
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}], n {found.n}"


def _score(score: Score) -> str:
    return f"{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}], n {score.n}"
