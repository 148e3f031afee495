"""What racing saves and loses: a replay of archived trials in the order and by the rule of `agent.search.racing`.

python -m benchmarks.racing [ARCHIVE ...]        # all variants, one against each other one
python -m benchmarks.racing --curve [ARCHIVE ...] # saved and lost at other chances than the rule's

The variants are those that ship with archer and the proposals of the archives. Each is a proposal once against each
other variant as its parent; nothing is trained. It is left out where the race learns: spread, noise and order come from
the other variants. A true improvement is told in two ways:

* recorded: all trials show the proposal ahead of its parent by more than noise (the target of the search, 95 %);
* simulated: the recorded means of both are taken for the truth, and their trials are drawn anew, with the residuals (of
  accuracy and curve together) of variants drawn at random. Here the truth is known. Lost is what all trials show, too:
  what they would not show is lost without racing.

Prints Markdown. "Saved" counts the CPU time of the trials that are not begun, on one core and on two, where one trial
more is under way when a proposal stops.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agent.analysis.boards.board import open_board
from agent.analysis.boards.challenge import Challenge
from agent.analysis.replicates import binomial
from agent.analysis.trial_work import weights
from agent.search import racing
from agent.search.forecast import Experience, Measured, Table
from agent.search.racing import LAST_LOOK, Race, target_of
from archive.seeding import shipped_by_variant
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import TrialSpec, trial_specs
from evaluator.trials.no_effect import telling
from variants.contract import BASELINE

PROTOCOL = QUICK
TASKS = list(PROTOCOL.tasks)
SPECS = trial_specs(PROTOCOL)
FIRST = telling(PROTOCOL, [spec for spec in SPECS if spec.task != "Memorize"])[:1]
CURVE = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)


@dataclass(frozen=True)
class Replayed:
    """One proposal against one parent.

    shown: whether all its trials show an improvement. true: whether it is one. chances: after each trial, in the order
    of the race. shares: of the CPU time by then.
    """

    name: str
    parent: str
    shown: bool
    true: bool
    chances: Sequence[float]
    shares: Sequence[float]

    def stopped(self, chance: float) -> int:
        """After how many trials it stops; 0 for never."""
        looks = [n for n, found in enumerate(self.chances, 1) if found < chance and n <= LAST_LOOK * len(self.shares)]
        return looks[0] if looks else 0

    def saved(self, chance: float, under_way: int) -> float:
        """Share of the CPU that is saved."""
        looks = self.stopped(chance)
        return 1 - self.shares[min(looks - 1 + under_way, len(self.shares) - 1)] if looks else 0.0


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="*", type=Path)
    parser.add_argument("--curve", action="store_true")
    options = parser.parse_args()
    shipped = set(shipped_by_variant(PROTOCOL.name))
    variants = measured(options.archives)
    chance = np.random.default_rng(0)
    recorded = list(replays(variants))
    simulated = list(replays(variants, chance))
    if options.curve:
        print("| chance | saved | two cores | lost, recorded | lost, simulated |\n|---|---:|---:|---:|---:|")
        for least in CURVE:
            lost = " | ".join(lost_of(runs, least) for runs in (recorded, simulated))
            print(f"| {least:.1%} | {saved_of(recorded, least, 0)} | {saved_of(recorded, least, 1)} | {lost} |")
        return
    print("| proposals, parents | trials | pairs | stopped | CPU saved | on two cores | improvements lost |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for kind, runs in (("recorded", recorded), ("simulated", simulated)):
        groups = {
            "each against each other": runs,
            "each against the baseline": [run for run in runs if run.parent == BASELINE],
            "shipped against shipped (settings chosen here)": [r for r in runs if {r.name, r.parent} <= shipped],
            "found against all (held out)": [run for run in runs if run.name not in shipped],
            "shipped against found (held out)": [r for r in runs if r.name in shipped and r.parent not in shipped],
        }
        for title, group in groups.items():
            if group:
                stopped = sum(run.stopped(racing.CHANCE) > 0 for run in group)
                print(
                    f"| {title} | {kind} | {len(group)} | {stopped} | {saved_of(group, racing.CHANCE, 0)} "
                    f"| {saved_of(group, racing.CHANCE, 1)} | {lost_of(group, racing.CHANCE)} |"
                )


def saved_of(runs: Sequence[Replayed], chance: float, under_way: int) -> str:
    """Share of the CPU, as text."""
    return f"{np.mean([run.saved(chance, under_way) for run in runs]):.1%}"


def lost_of(runs: Sequence[Replayed], chance: float) -> str:
    """True improvements that all trials show, and that were stopped; of how many."""
    true = [run for run in runs if run.true and run.shown]
    lost = sum(run.stopped(chance) > 0 for run in true)
    return f"{lost} of {len(true)} ({lost / max(1, len(true)):.2%})"


def measured(archives: Sequence[Path]) -> dict[str, Measured]:
    """The variants with all trials, by name."""
    trials = dict(shipped_by_variant(PROTOCOL.name))
    for path in archives:
        for record in Archive(path).records():
            if record.status is Status.SCORED and record.protocol_hash == PROTOCOL.hash:
                trials[record.proposal.variant.name] = list(record.trials)
    found = {name: Measured.of(own, TASKS, PROTOCOL.seeds) for name, own in trials.items()}
    return {name: own for name, own in found.items() if own.whole}


def replays(variants: Mapping[str, Measured], chance: np.random.Generator | None = None) -> Iterator[Replayed]:
    """Every pair, as recorded; with `chance`, simulated."""
    challenge = Challenge.of(open_board(PROTOCOL.name, None))
    target = target_of(challenge, TASKS)
    work = weights(PROTOCOL, SPECS)
    for name, own in variants.items():
        others = {other: found for other, found in variants.items() if other != name}
        experience = Experience.of(list(others.values()))
        assert experience is not None
        for parent, theirs in others.items():
            if not np.array_equal(own.accuracy, theirs.accuracy):
                ours, seen = (own, theirs) if chance is None else (again(x, others, chance) for x in (own, theirs))
                race = Race(seen, experience, PROTOCOL, target)
                order = race.order(SPECS, FIRST, work)
                leads = [
                    target(np.stack([one.accuracy.mean(1), other.accuracy.mean(1)])) @ [1, -1]
                    for one, other in ((ours, seen), (own, theirs))
                ]
                shares = np.cumsum([work[spec] for spec in order]) / sum(work.values())
                shown, true = (bool(lead > race.margin) for lead in leads)
                yield Replayed(name, parent, shown, true, chances(race, ours, order), list(shares))


def chances(race: Race, own: Measured, order: Sequence[TrialSpec]) -> list[float]:
    """After each trial up to the last look."""
    found, known = [], np.zeros(own.accuracy.shape, dtype=bool)
    for spec in order[: int(LAST_LOOK * len(order))]:
        known[TASKS.index(spec.task), PROTOCOL.seeds.index(spec.seed)] = True
        so_far = replace(own, accuracy=np.where(known, own.accuracy, np.nan), area=np.where(known, own.area, np.nan))
        found.append(race.chance(so_far))
    return found


def again(own: Measured, others: Mapping[str, Measured], chance: np.random.Generator) -> Measured:
    """Trials around the means of `own`, with the residuals of another variant on each task, scaled by p (1 - p)."""
    rows, seeds = own.accuracy.shape
    drawn = {"accuracy": np.empty((rows, seeds)), "area": np.empty((rows, seeds))}
    donors = list(others.values())
    for task in range(rows):
        donor = donors[int(chance.integers(len(donors)))]
        places = chance.integers(seeds, size=seeds)
        sign = chance.choice([-1.0, 1.0])
        levels = [binomial(float(each.accuracy[task].mean())) for each in (own, donor)]
        for what, scale in (("accuracy", (levels[0] / levels[1]) ** 0.5), ("area", 1.0)):
            residual = getattr(donor, what)[task] - getattr(donor, what)[task].mean()
            wide = (seeds / (seeds - 1)) ** 0.5
            drawn[what][task] = getattr(own, what)[task].mean() + sign * scale * wide * residual[places]
    accuracy: Table = np.clip(drawn["accuracy"], 0.0, 1.0)
    return replace(own, accuracy=accuracy, area=drawn["area"])


if __name__ == "__main__":
    main()
