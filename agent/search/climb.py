"""The ladder: a proposal that is confirmed under one protocol is trained, with its rival, under the next one.

What a proposal is worth is said by the highest rung at which it was compared. The ladder keeps nothing of its own: how
far up a variant has come follows from its trials, and what was stopped half-way is stopped again at no cost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from agent.analysis.boards.board import open_board
from agent.analysis.boards.challenge import Challenge, nearest_first
from agent.search.pipeline import Pipeline
from agent.search.racing import Race, target_of
from archive.store import Archive
from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.statistics.lazy_trials import comparable
from evaluator.trials.evaluate import TrialProgress
from evaluator.trials.run_trial import spec_of
from variants.contract import Variant


@dataclass(frozen=True)
class Climbed:
    """What came of a climb: SCORED, or why it stopped short; and the trials that it added."""

    status: Status
    reason: str
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Climb:
    """A confirmed proposal and its rival, and the protocol that both are to be trained under.

    trials, challenge: of that protocol; no challenge if its reference was not measured.
    """

    variant: Variant
    rival: Variant
    protocol: Protocol
    trials: Mapping[str, Sequence[Trial]]
    challenge: Challenge | None

    @classmethod
    def all_of(cls, archive: Archive, ladder: Sequence[Protocol]) -> list["Climb"]:
        """The climbs that are open on a ladder of protocols, lowest rung first; on a rung, the nearest first."""
        with archive.at_one_moment():
            return cls._all_of(archive, ladder)

    @classmethod
    def _all_of(cls, archive: Archive, ladder: Sequence[Protocol]) -> list["Climb"]:
        found: list[Climb] = []
        climbing = _confirmed(archive, ladder[0]) if ladder else {}
        for protocol in ladder[1:]:
            trials, variants = comparable(archive.trials(protocol.name), protocol.hash), archive.variants()
            specs = set(trial_specs(protocol))
            ended = {name for name, own in trials.items() if specs <= {spec_of(trial) for trial in own}}
            whole = [name for name, rival in climbing.items() if {name, rival} <= ended]
            board = open_board(protocol.name, archive)
            challenge = Challenge.of(board)
            found += [
                cls(variants[name], variants[rival], protocol, trials, challenge)
                for name, rival in climbing.items()
                if name not in whole
            ]
            ranked = nearest_first(board, board.whole)
            climbing = {name: climbing[name] for name in whole if _ahead(ranked, name, climbing[name])}
        return found

    def run(self, pipeline: Pipeline, follow: Callable[[Variant, TrialProgress], None] = lambda _, __: None) -> Climbed:
        """Train what is missing, the rival first; the proposal stops when it has no chance left to get ahead of it."""
        specs, added = trial_specs(self.protocol), list[Trial]()
        trials = dict(self.trials)
        for variant in (self.rival, self.variant):
            known = {spec_of(trial): trial for trial in trials.get(variant.name, ())}
            race = self._race(trials) if variant is self.variant else None
            ended = replace(pipeline, follow=partial(follow, variant)).train(variant, specs, known=known, race=race)
            new = [t for t in ended.trials if t.status is Status.SCORED and spec_of(t) not in known]
            trials[variant.name] = (*trials.get(variant.name, ()), *new)
            added += new
            if ended.status is not Status.SCORED:
                return Climbed(ended.status, f"{variant.name}: {ended.reason}", tuple(added))
        return Climbed(Status.SCORED, "", tuple(added))

    @property
    def missing(self) -> tuple[tuple[Variant, TrialSpec], ...]:
        """What is to be trained, in order, if nothing is stopped early."""
        have = {(name, spec_of(trial)) for name, own in self.trials.items() for trial in own}
        specs = trial_specs(self.protocol)
        return tuple(
            (who, spec) for who in (self.rival, self.variant) for spec in specs if (who.name, spec) not in have
        )

    def _race(self, trials: Mapping[str, Sequence[Trial]]) -> Race | None:
        target = target_of(self.challenge, tuple(self.protocol.tasks))
        return Race.against(self.rival.name, trials, self.protocol, target)


def _confirmed(archive: Archive, protocol: Protocol) -> dict[str, str]:
    """Proposals that are confirmed under a protocol, the nearest to the challenge first, each with its rival."""
    board = open_board(protocol.name, archive)
    confirmed = {
        name: each.against
        for name, each in archive.confirmations(protocol.name).items()
        if each.protocol_hash == protocol.hash and each.outcome == "confirmed"
    }
    return {name: confirmed[name] for name in nearest_first(board, confirmed)}


def _ahead(ranked: Sequence[str], name: str, rival: str) -> bool:
    return rival in ranked and ranked.index(name) < ranked.index(rival)
