"""An archive as tidy pandas frames: a row is one observation, a column is one variable. Only reads the archive."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from archive.reader import TRIALS, Reader
from archive.records.record import Record
from archive.records.runs import run_of
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import tasks_of
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.statistics.scorecards import scorecard
from evaluator.tasks.registry import TASKS

_WHO = ["proposal", "name", "status", "parent", "proposer", "model", "protocol", "protocol_hash"]
_TRIAL = [
    "task", "setting", "lr", "weight_decay", "seed", "trial_status", "accuracy", "loss", "certificate", "predictions",
    "steps", "cpu_seconds", "wall_seconds", "inherited_from", "isolation", "grade", "device", "weights_hash",
]  # fmt: skip


class Frames:
    """Frames of one archive, read anew at each call.

    Every frame has `proposal` (its number), and `status`, `parent`, `proposer` and `model` of the proposal. All five
    are missing for the seed variants. Rows with different `protocol_hash` do not compare. Raises ArchiveError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Read the archive at `path`, a folder."""
        self._path = Path(path)

    def proposals(self) -> pd.DataFrame:
        """One row per proposal, also for proposals without a score.

        Beside the columns of all frames: `title`, `reason` (of a status that is no score), `created` (UTC), `mean`
        (accuracy over all tasks, 0 to 1; missing where one was not measured), `cpu_seconds`, `wall_seconds`,
        `prompt_tokens`, `completion_tokens`, `usd` (missing where the price is unknown), `source_hash` (SHA-256).
        """
        rows = [_proposal(record) for record in Reader(self._path).records()]
        columns = ["title", "reason", "created", "mean", "cpu_seconds", "wall_seconds"]
        frame = _frame(rows, [*_WHO, *columns, "prompt_tokens", "completion_tokens", "usd", "source_hash"])
        frame["created"] = pd.to_datetime(frame["created"], utc=True, format="ISO8601")
        return frame

    def trials(self) -> pd.DataFrame:
        """One row per training run, of proposals and of seed variants.

        `task`, `setting` (id of the MAD setting), `lr`, `weight_decay`, `seed`; `trial_status`; `accuracy` (0 to 1, of
        test predictions whose future was replaced), `loss` (nats, test), `certificate` (relative change of a logit
        before the cut), `predictions` (how many were counted), `steps`, `cpu_seconds`, `wall_seconds`; `inherited_from`
        (name, where the two cannot differ), `isolation`, `grade` (of the sandbox), `device`, `weights_hash`.
        """
        return _frame([row | _trial(trial) for row, trial in self._trials()], [*_WHO, *_TRIAL])

    def curves(self) -> pd.DataFrame:
        """One row per point of a learning curve: `task`, `setting`, `lr`, `weight_decay`, `seed`, `step`, `loss`.

        `loss` is the training loss in nats, as the untrusted training process reported it. No score uses it.
        """
        keys = ("task", "setting", "lr", "weight_decay", "seed")
        rows = [
            row | {key: getattr(trial, key) for key in keys} | {"step": point.step, "loss": point.loss}
            for row, trial in self._trials()
            for point in trial.curve
        ]
        return _frame(rows, [*_WHO, *keys, "step", "loss"])

    def scores(self) -> pd.DataFrame:
        """One row per variant, protocol and task: `mean` accuracy, `low` and `high` of its 95 % interval, `n` seeds.

        With one seed there is no interval: low and high are the mean. A variant whose proposal has no score is there if
        `archer evaluate --add` measured it, as on the leaderboard.
        """
        by_variant: dict[tuple[Any, ...], tuple[dict[str, Any], list[Trial]]] = {}
        for row, trial in self._trials(of=(Status.SCORED,)):
            own = by_variant.setdefault((row["proposal"], row["name"], row["protocol_hash"]), (row, []))
            own[1].append(trial)
        rows = [
            row | {"task": task, **score.model_dump()}
            for row, trials in by_variant.values()
            for task, score in scorecard(trials).scores.items()
        ]
        return _frame(rows, [*_WHO, "task", "mean", "low", "high", "n"])

    def predictions(self) -> pd.DataFrame:
        """One row per proposal and predicted task: `predicted`, `low` and `high` of its 80 % interval, `why`.

        The result beside it: `measured` (mean accuracy, missing without a score), `error` (measured less predicted),
        `inside` (whether the measured mean lies in the interval, to four digits; missing without a score).
        """
        rows = [row for record in Reader(self._path).records() for row in _predictions(record)]
        columns = ["task", "predicted", "low", "high", "why", "measured", "error", "inside"]
        return _frame(rows, [*_WHO, *columns]).astype({"inside": "boolean"})

    def _trials(self, of: Collection[Status] = tuple(Status)) -> Iterator[tuple[dict[str, Any], Trial]]:
        """Every trial once, with the columns of its variant and proposal: further trials, and those of proposals.

        of: proposals of which status; the further trials of a variant are there whatever became of its proposal.
        """
        reader = Reader(self._path)
        who = {record.proposal.variant.name: _who(record) for record in reader.records()}
        chosen = [record for record in reader.records() if record.status in of]
        proposed = {(t.variant, run_of(t)) for record in chosen for t in record.trials}
        for protocol in sorted(path.name for path in (self._path / TRIALS).glob("*")):
            for name, trials in reader.further_trials(protocol).items():
                for trial in trials:
                    if (name, run_of(trial)) in proposed:
                        continue
                    about = {"name": name, "protocol": protocol, "protocol_hash": trial.protocol_hash}
                    yield dict.fromkeys(_WHO) | who.get(name, {}) | about, trial
        for record in chosen:
            for trial in record.trials:
                yield _who(record), trial


def _who(record: Record) -> dict[str, Any]:
    proposal = record.proposal
    values = (record.number, proposal.variant.name, record.status, proposal.parent)
    asked = (proposal.provenance.proposer, proposal.provenance.model, record.protocol, record.protocol_hash)
    return dict(zip(_WHO, (*values, *asked), strict=True))


def _proposal(record: Record) -> dict[str, Any]:
    scores = record.scorecard.scores if record.scorecard else {}
    mean = mean_over_tasks(scores, tasks_of(record.protocol))
    texts = {"title": record.proposal.title, "reason": record.reason, "created": record.created, "mean": mean}
    return _who(record) | texts | record.cost.model_dump() | {"source_hash": record.proposal.variant.source_hash}


def _trial(trial: Trial) -> dict[str, Any]:
    own = trial.model_dump(include=set(_TRIAL))
    return own | {"trial_status": trial.status, "loss": trial.test_loss, "grade": trial.sandbox_grade}


def _predictions(record: Record) -> Iterator[dict[str, Any]]:
    scores = record.scorecard.scores if record.scorecard else {}
    for task in (task for task in TASKS if task in record.proposal.predictions):
        found, measured = record.proposal.predictions[task], scores[task].mean if task in scores else None
        about = {"task": task, "predicted": found.mean, "low": found.low, "high": found.high, "why": found.why}
        error = None if measured is None else measured - found.mean
        inside = None if measured is None else found.holds(measured)
        yield _who(record) | about | {"measured": measured, "error": error, "inside": inside}


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns).astype({"proposal": "Int64"})
    for name in frame.columns.intersection(["status", "trial_status", "grade"]):
        frame[name] = frame[name].map(str, na_action="ignore")
    for name in frame.columns.intersection(["accuracy", "mean", "loss", "measured", "error", "usd", "certificate"]):
        frame[name] = pd.to_numeric(frame[name])
    return frame
