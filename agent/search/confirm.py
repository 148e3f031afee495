"""Confirmation: before a proposal is called the new best, archer trains it and the best so far on fresh seeds, split.

Best is who is nearest to the challenge (`agent.analysis.boards.challenge`), then who has the best mean. A confirmation
tests one number that is linear in the scores: the mean over tasks, weighted by what an accuracy on each task is worth
between the two. The weights come from the first scores, so they are fixed before the first fresh seed is trained.

Luck helps to choose the best of many proposals, and the first score of the best includes this luck. All confirmations
of a protocol use the same fresh seeds. No leaderboard and no proposer sees scores on fresh seeds. If the best so far
was confirmed on these seeds, it was lucky on them, if anything, and the next proposal has to beat that.

A confirmation has at most two looks: after n seeds and, if the proposal is ahead but within noise, after 2 n seeds.
The looks share the risk (Bonferroni). If 2 n seeds that repeat the lead could not tell it from noise, archer does not
train them: it names the lead and calls nothing a new best.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Self

from agent.analysis.boards.board import Board, open_board
from agent.analysis.boards.challenge import Challenge, means_of, nearest_first
from agent.search.pipeline import Pipeline
from archive.confirmations import Confirmation, Difference
from archive.store import Archive
from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.statistics.lazy_trials import comparable
from evaluator.statistics.moderated_t_test import Effect, Noise, effect, mean_noise, paired
from evaluator.tasks.names import TaskName
from evaluator.trials.evaluate import TrialProgress
from evaluator.trials.run_trial import spec_of
from variants.contract import Variant

FIRST_FRESH = 1_000_000
"""Fresh seeds begin here: `--seeds` counts from 0."""
LOOKS, RISK = 2, 0.05


def fresh_seeds(protocol: Protocol, looks: int = 1) -> tuple[int, ...]:
    """The fresh seeds of `looks` looks: as many for each look as the protocol has seeds."""
    return tuple(range(FIRST_FRESH, FIRST_FRESH + looks * len(protocol.seeds)))


@dataclass(frozen=True)
class WouldBeBest:
    """A proposal that would be the new best, and the rival that it must beat. known: trials of both on fresh seeds.

    weights: what each task counts in the mean that is tested. noise: of this mean.
    """

    variant: Variant
    rival: Variant
    protocol: Protocol
    weights: Mapping[TaskName, float]
    first: Effect
    noise: Noise | None
    known: tuple[Trial, ...]

    @classmethod
    def all_of(cls, archive: Archive, protocol: Protocol) -> list[Self]:
        """The undecided proposals that are ahead of all seed variants and all confirmed proposals, the nearest first.

        A protocol of one seed gives no noise between seeds, so under it there is no new best.
        """
        if len(protocol.seeds) < 2:
            return []
        with archive.at_one_moment():
            return cls._all_of(archive, protocol)

    @classmethod
    def _all_of(cls, archive: Archive, protocol: Protocol) -> list[Self]:
        board = open_board(protocol.name, archive)
        decided = {n: c for n, c in archive.confirmations(protocol.name).items() if c.protocol_hash == protocol.hash}
        proposed = {line.name for line in archive.lines()}
        confirmed = {name for name, confirmation in decided.items() if confirmation.outcome == "confirmed"}
        ranked = {name: place for place, name in enumerate(nearest_first(board, board.whole))}
        settled = [name for name in ranked if name not in proposed or name in confirmed]
        waiting = [name for name in ranked if name in proposed and _undecided(decided.get(name))]
        candidates = []
        for name in waiting:
            rival = decided[name].against if name in decided else next(iter(settled), None)
            if rival is not None and rival in ranked and ranked[name] < ranked[rival]:
                weights = decided[name].weights if name in decided else _weights(board, name, rival)
                candidates.append(cls._of(archive, protocol, weights or _all_alike(protocol), name, rival))
        return [candidate for candidate in candidates if candidate is not None and candidate.first.mean > 0]

    @classmethod
    def _of(
        cls, archive: Archive, protocol: Protocol, weights: Mapping[TaskName, float], name: str, rival: str
    ) -> Self | None:
        trials, tasks = comparable(archive.trials(protocol.name), protocol.hash), tuple(protocol.tasks)
        noise = mean_noise(trials, tasks, weights)
        first = effect(paired(trials[name], trials[rival], tasks, weights), noise)
        if first is None:
            return None
        fresh_trials = [t for each in (name, rival) for t in archive.fresh_trials(protocol.name).get(each, ())]
        variants = archive.variants()
        current = tuple(trial for trial in fresh_trials if trial.protocol_hash == protocol.hash)
        return cls(variants[name], variants[rival], protocol, weights, first, noise, current)

    @property
    def out_of_reach(self) -> bool:
        """Whether the first lead, repeated on the most fresh seeds that a confirmation uses, would be within noise.

        False if the confirmation has begun, because most of its cost is then paid.
        """
        if any(trial.variant == self.variant.name for trial in self.known):
            return False
        n = LOOKS * len(self.protocol.seeds)
        again = replace(self.first, error=self.first.error * math.sqrt(self.first.n / n), n=n)
        return again.lower(1 - RISK / LOOKS) <= 0

    def run(
        self, pipeline: Pipeline, follow: Callable[[Variant, TrialProgress], None] = lambda _, __: None
    ) -> tuple[Confirmation, tuple[Trial, ...]]:
        """Train the missing trials, split, look by look, until a decision. Returns the decision and the new trials.

        follow: called at each step, in the place of the pipeline's.
        """
        pipeline = replace(pipeline, evaluator=replace(pipeline.evaluator, isolation="split"))
        trials = {variant.name: [t for t in self.known if t.variant == variant.name] for variant in self._both}
        new: list[Trial] = []
        for looks in range(1, LOOKS + 1):
            seeds = fresh_seeds(self.protocol, looks)
            specs = trial_specs(self.protocol, seeds=seeds)
            for variant in self._both:
                known_by_spec = {spec_of(trial): trial for trial in trials[variant.name]}
                result = replace(pipeline, follow=partial(follow, variant)).train(variant, specs, known=known_by_spec)
                new_trials = [t for t in result.trials if t.status is Status.SCORED and spec_of(t) not in known_by_spec]
                trials[variant.name] += new_trials
                new += new_trials
                if result.status is not Status.SCORED:
                    outcome = "unfinished" if result.status is Status.INTERRUPTED else "failed"
                    return self._decided(outcome, f"{variant.name}: {result.reason}", None), tuple(new)
            # of a second look that was stopped, some seeds are known: they are none of the first
            ours, theirs = ([t for t in trials[variant.name] if t.seed in seeds] for variant in self._both)
            fresh_effect = effect(paired(ours, theirs, tuple(self.protocol.tasks), self.weights), self.noise)
            if fresh_effect is not None and fresh_effect.lower(1 - RISK / LOOKS) > 0:
                return self._decided("confirmed", "", fresh_effect), tuple(new)
            if fresh_effect is None or fresh_effect.mean <= 0:
                return self._decided("refuted", "", fresh_effect), tuple(new)
        return self._decided("open", "", fresh_effect), tuple(new)

    @property
    def first_look(self) -> tuple[tuple[Variant, TrialSpec], ...]:
        """What is to be trained for the first look, in order."""
        have = {(trial.variant, spec_of(trial)) for trial in self.known}
        specs = trial_specs(self.protocol, seeds=fresh_seeds(self.protocol))
        return tuple((who, spec) for who in self._both for spec in specs if (who.name, spec) not in have)

    @property
    def _both(self) -> tuple[Variant, Variant]:
        return self.variant, self.rival

    def _decided(self, outcome: str, reason: str, fresh: Effect | None) -> Confirmation:
        return Confirmation.model_validate(
            {
                "variant": self.variant.name,
                "against": self.rival.name,
                "protocol": self.protocol.name,
                "protocol_hash": self.protocol.hash,
                "weights": dict(self.weights),
                "outcome": outcome,
                "reason": reason,
                "first": Difference.of(self.first),
                "fresh": Difference.of(fresh) if fresh is not None else None,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )


def _undecided(found: Confirmation | None) -> bool:
    return found is None or found.outcome == "unfinished"


def _weights(board: Board, name: str, rival: str) -> dict[TaskName, float]:
    """Of the tasks in the test of two variants; empty for a board without the reference."""
    challenge = Challenge.of(board)
    return challenge.weights(*(means_of(board.scores[each]) for each in (name, rival))) if challenge else {}


def _all_alike(protocol: Protocol) -> dict[TaskName, float]:
    return dict.fromkeys(protocol.tasks, 1 / len(protocol.tasks))
