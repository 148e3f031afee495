"""Confirmation: before a proposal is called the new best, it and the best so far are trained on fresh seeds, split.

The best of many is chosen by its luck, too, and its first score shows that luck. The fresh seeds are the same for all
confirmations of a protocol, and no leaderboard or proposer sees their scores; the best so far, if it was confirmed on
them itself, has the advantage of that. There are two looks, after n seeds and, where the proposal is ahead within
noise, after 2 n; they share the risk (Bonferroni). A lead so small that 2 n seeds could not tell it from noise if they
repeated it is not worth their cost: it is named, and no new best.
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from agent.search.pipeline import Pipeline
from archive.confirmations import Confirmation, Difference
from archive.leaderboards import scorecards
from archive.store import Archive
from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.statistics.lazy_trials import comparable
from evaluator.statistics.moderated_t_test import Effect, Noise, effect, mean_noise, paired
from evaluator.statistics.over_tasks import mean_over_tasks
from evaluator.trials.run_trial import spec_of
from variants.contract import Variant

FIRST_FRESH = 1_000_000
"""Fresh seeds begin here: `--seeds` counts from 0."""
LOOKS, RISK = 2, 0.05


def fresh_seeds(protocol: Protocol, looks: int = 1) -> tuple[int, ...]:
    """As many as the protocol has, once for each look."""
    return tuple(range(FIRST_FRESH, FIRST_FRESH + looks * len(protocol.seeds)))


@dataclass(frozen=True)
class WouldBeBest:
    """A proposal that would be the new best, and what it must beat; `known`: trials of both on fresh seeds."""

    variant: Variant
    rival: Variant
    protocol: Protocol
    first: Effect
    noise: Noise | None
    known: tuple[Trial, ...]

    @classmethod
    def of(cls, archive: Archive, protocol: Protocol) -> Self | None:
        """The proposal that is ahead of all that is confirmed, and has no decision yet; None where there is none.

        A protocol of one seed tells nothing of noise: under it nothing is called a new best.
        """
        if len(protocol.seeds) < 2:
            return None
        trials = comparable(archive.trials(protocol.name), protocol.hash)
        means = {
            name: mean
            for name, card in scorecards(protocol.name, trials).items()
            if (mean := mean_over_tasks(card.scores, tuple(protocol.tasks))) is not None
        }
        decided = {n: c for n, c in archive.confirmations(protocol.name).items() if c.protocol_hash == protocol.hash}
        proposed = {line.name for line in archive.lines()}
        confirmed = {name for name, found in decided.items() if found.outcome == "confirmed"}
        settled = [name for name in means if name not in proposed or name in confirmed]
        waiting = [name for name in means if name in proposed and _undecided(decided.get(name))]
        if not settled or not waiting:
            return None
        best, ahead = (max(names, key=lambda name: means[name]) for names in (settled, waiting))
        rival = decided[ahead].against if ahead in decided else best
        first = effect(
            paired(trials[ahead], trials[rival], tuple(protocol.tasks)),
            noise := mean_noise(trials, tuple(protocol.tasks)),
        )
        if means[ahead] <= means[rival] or first is None:
            return None
        known = [t for name in (ahead, rival) for t in archive.fresh_trials(protocol.name).get(name, ())]
        variants = archive.variants()
        current = tuple(trial for trial in known if trial.protocol_hash == protocol.hash)
        return cls(variants[ahead], variants[rival], protocol, first, noise, current)

    @property
    def out_of_reach(self) -> bool:
        """Whether the same lead again, on as many fresh seeds as there may be, would still be within noise.

        Never where it was begun: most of the cost is paid.
        """
        if any(trial.variant == self.variant.name for trial in self.known):
            return False
        n = LOOKS * len(self.protocol.seeds)
        again = replace(self.first, error=self.first.error * math.sqrt(self.first.n / n), n=n)
        return again.lower(1 - RISK / LOOKS) <= 0

    def run(self, pipeline: Pipeline) -> tuple[Confirmation, tuple[Trial, ...]]:
        """Train what is missing, split, look by look, until there is a decision; returns it with the new trials."""
        pipeline = replace(pipeline, evaluator=replace(pipeline.evaluator, isolation="split"))
        trials = {variant.name: [t for t in self.known if t.variant == variant.name] for variant in self._both}
        new: list[Trial] = []
        for looks in range(1, LOOKS + 1):
            specs = trial_specs(self.protocol, seeds=fresh_seeds(self.protocol, looks))
            for variant in self._both:
                have = {spec_of(trial): trial for trial in trials[variant.name]}
                result = pipeline.train(variant, specs, known=have)
                made = [t for t in result.trials if t.status is Status.SCORED and spec_of(t) not in have]
                trials[variant.name] += made
                new += made
                if result.status is not Status.SCORED:
                    outcome = "unfinished" if result.status is Status.INTERRUPTED else "failed"
                    return self._decided(outcome, f"{variant.name}: {result.reason}", None), tuple(new)
            ours, theirs = (trials[variant.name] for variant in self._both)
            found = effect(paired(ours, theirs, tuple(self.protocol.tasks)), self.noise)
            if found is not None and found.lower(1 - RISK / LOOKS) > 0:
                return self._decided("confirmed", "", found), tuple(new)
            if found is None or found.mean <= 0:
                return self._decided("refuted", "", found), tuple(new)
        return self._decided("open", "", found), tuple(new)

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
                "outcome": outcome,
                "reason": reason,
                "first": Difference.of(self.first),
                "fresh": Difference.of(fresh) if fresh is not None else None,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )


def _undecided(found: Confirmation | None) -> bool:
    return found is None or found.outcome == "unfinished"
