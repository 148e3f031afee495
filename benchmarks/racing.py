"""What racing saves, and which decisions it changes: a replay of the shipped trials of the seed variants.

python -m benchmarks.racing

Every seed variant is a proposal once against each other one as its parent, in each order of the training seeds;
nothing is trained. The noise of a seed is learnt from the other variants only. Prints Markdown. A decision is changed
where a pruned proposal would have had, with all seeds, a mean above its parent's, or a task called better, or a place
above all others.

The rate of wrong pruning is measured on pairs without a true difference and with real noise: a variant against itself
on other seeds, the seed drawn for each task apart.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from agent.search.racing import Race
from archive.seeding import shipped_by_variant
from evaluator.outcomes import Trial
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.protocols.protocol import Protocol
from evaluator.statistics.moderated_t_test import paired, seed_means
from evaluator.statistics.verdicts import noise_by_task, verdict
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import BASELINE

Trials = Mapping[str, Sequence[Trial]]
NULL_PAIRS = 60


@dataclass(frozen=True)
class Run:
    """One proposal against one parent with the seeds in one order. `looks`: seeds after which it was pruned, or 0."""

    name: str
    parent: str
    looks: int
    cpu: float
    saved: float
    difference: float
    better: int
    best: bool


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="quick")
    protocol = PROTOCOLS[parser.parse_args().protocol]
    trials = shipped_by_variant(protocol.name)
    runs = list(replay(trials, protocol))
    print("| parent | proposals × orders | pruned after 1 seed | after 2 | CPU saved | mean above the parent's "
          "| a task called better | best of all |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    print(row("the baseline", [run for run in runs if run.parent == BASELINE]))
    print(row("each other variant", runs))
    print(f"\nWithout a true difference: {share_lost(trials, protocol):.4f} pruned.")


def replay(trials: Trials, protocol: Protocol) -> Iterator[Run]:
    """Every pair in every order of the seeds."""
    means = {name: fmean(seed_means(own, MAD_TASKS).values()) for name, own in trials.items()}
    noise = noise_by_task(trials, MAD_TASKS)
    champion = max(means, key=lambda name: means[name])
    for name in trials:
        others = {other: own for other, own in trials.items() if other != name}
        for parent in others:
            race = Race.against(parent, others, protocol)
            if race is None:
                continue
            difference = fmean(paired(trials[name], trials[parent], MAD_TASKS))
            tasks = verdict(trials[name], trials[parent], parent, noise).tasks.values()
            better = sum(found.outcome == "better" for found in tasks)
            for order in itertools.permutations(protocol.seeds):
                ordered = Race(race.parent, order, race.tasks, race.noise, race.task_noise)
                looks = pruned_after(ordered, trials[name])
                cost = {seed: sum(t.cpu_seconds for t in trials[name] if t.seed == seed) for seed in order}
                saved = sum(cost[seed] for seed in order[looks:]) if looks else 0.0
                yield Run(name, parent, looks, sum(cost.values()), saved, difference, better, name == champion)


def pruned_after(race: Race, trials: Sequence[Trial]) -> int:
    """After how many seeds the proposal is pruned; 0 for never."""
    for looks in range(1, len(race.seeds)):
        if race.lost([trial for trial in trials if trial.seed in race.seeds[:looks]]):
            return looks
    return 0


def row(name: str, runs: Sequence[Run]) -> str:
    """One line of the table; the last three columns count what was pruned all the same."""
    pruned = [run for run in runs if run.looks]
    saved = sum(run.saved for run in runs) / sum(run.cpu for run in runs)
    counts = [sum(run.looks == looks for run in runs) for looks in (1, 2)]
    wrong = [
        sum(run.difference > 0 for run in pruned),
        sum(run.better > 0 for run in pruned),
        sum(r.best for r in pruned),
    ]
    shares = " | ".join(f"{count} ({count / len(runs):.0%})" for count in counts)
    return f"| {name} | {len(runs)} | {shares} | {saved:.0%} | {' | '.join(map(str, wrong))} |"


def share_lost(trials: Trials, protocol: Protocol) -> float:
    """Share pruned of proposals that are their own parent on other seeds."""
    chance = np.random.default_rng(0)
    lost = []
    for name, own in trials.items():
        race = Race.against(name, trials, protocol)
        for _ in range(NULL_PAIRS if race else 0):
            assert race is not None
            lost.append(bool(pruned_after(race, shuffled(own, protocol.seeds, chance))))
    return fmean(lost)


def shuffled(trials: Sequence[Trial], seeds: Sequence[int], chance: np.random.Generator) -> list[Trial]:
    """The trials with no seed at its own place, in each task apart."""
    moved = []
    for task in MAD_TASKS:
        turn = int(chance.integers(1, len(seeds)))
        place = {seed: seeds[(index + turn) % len(seeds)] for index, seed in enumerate(seeds)}
        moved += [t.model_copy(update={"seed": place[t.seed]}) for t in trials if t.task == task]
    return moved


if __name__ == "__main__":
    main()
