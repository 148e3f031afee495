"""What a search trains beside its proposals: a confirmation on fresh seeds, or a climb to the next rung."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from agent.analysis.boards.board import open_board
from agent.search.climb import Climb, Climbed
from agent.search.confirm import LOOKS, WouldBeBest, fresh_seeds
from agent.search.pipeline import Pipeline
from agent.search.training_shown import TrainingShown
from agent.terminal.discoveries import climb_line, confirmation_lines
from agent.terminal.progress import Progress
from agent.terminal.view import name_markup
from agent.words import counted
from archive.confirmations import Confirmation
from archive.store import Archive
from evaluator.outcomes import Trial
from evaluator.protocols.protocol import trial_specs


@dataclass(frozen=True)
class Beside:
    """Work for a thread of its own. finish: in the main thread, archives what `run` returned, and has lines on it.

    claim: what it is called among the searches on one archive, of which one does it.
    """

    claim: str
    announcement: str
    run: Callable[[], Any]
    finish: Callable[[Any], Iterable[str]]


def confirmation_beside(found: WouldBeBest, pipeline: Pipeline, archive: Archive, progress: Progress) -> Beside:
    """A would-be new best and its rival on fresh seeds."""
    seeds, split = len(found.protocol.seeds), replace(pipeline.evaluator, isolation="split")
    shown = TrainingShown("confirming", found.variant, found.protocol, found.first_look, progress, "the first look")

    def finish(result: tuple[Confirmation, tuple[Trial, ...]]) -> Iterable[str]:
        archive.tell_confirmation(*result)
        for variant in (found.variant, found.rival):
            split.archived(variant, trial_specs(found.protocol, seeds=fresh_seeds(found.protocol, LOOKS)))
        return confirmation_lines([result[0]])

    return Beside(
        f"confirm-{found.protocol.name}-{found.variant.name}",
        f"would be the new best: {name_markup(found.variant.name)}; training it and {name_markup(found.rival.name)} "
        f"on {seeds} to {LOOKS * seeds} fresh seeds",
        partial(found.run, pipeline, shown.follow),
        finish,
    )


def climb_beside(found: Climb, pipeline: Pipeline, archive: Archive, progress: Progress) -> Beside:
    """A confirmed proposal and its rival under the next protocol of the ladder."""
    protocol, missing = found.protocol, found.missing
    shown = TrainingShown("climbing", found.variant, protocol, missing, progress, "")

    def finish(result: Climbed) -> Iterable[str]:
        for name in dict.fromkeys(trial.variant for trial in result.trials):
            archive.tell_trials([trial for trial in result.trials if trial.variant == name])
        for variant in (found.variant, found.rival):
            pipeline.evaluator.archived(variant, trial_specs(protocol))
        board = open_board(protocol.name, archive)
        return [climb_line(found.variant.name, found.rival.name, result.status, result.reason, board)]

    return Beside(
        f"climb-{protocol.name}-{found.variant.name}",
        f"up to {protocol.name}: {name_markup(found.variant.name)}, with {name_markup(found.rival.name)}; "
        f"{counted(len(missing), 'trial')} to train",
        partial(found.run, pipeline, shown.follow),
        finish,
    )
