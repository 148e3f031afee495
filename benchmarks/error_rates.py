"""How often the statistics are wrong, and what they can find: simulated archives with the noise of shipped trials.

python -m benchmarks.error_rates

Each simulated variant draws its own standard deviation of one seed, of the mean of six tasks, from those that the
shipped variants show. An archive holds 24 seed variants and some proposals, all children of one parent. Prints
Markdown: rates without an effect, discoveries with one, what becomes of the best of several on fresh seeds, and how
often a cell of the front is called different where it is not.
"""

import argparse
from collections.abc import Callable, Iterable
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from agent.analysis.boards.board import open_board
from archive.seeding import shipped_by_variant
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.statistics.moderated_t_test import Effect, Noise, common_noise, effect, noise_by_task, seed_means
from evaluator.statistics.scorecards import seed_accuracies
from evaluator.tasks.registry import MAD_TASKS

Array = NDArray[np.float64]
SEED_VARIANTS, ARCHIVES = 24, 2_000
TESTS: dict[str, Callable[[Noise | None], Noise | None]] = {
    "moderated": lambda known: known,
    "paired t": lambda _: None,
}


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="quick")
    protocol = parser.parse_args().protocol
    rows = [seed_means(own, MAD_TASKS) for own in shipped_by_variant(protocol).values()]
    deviations = np.array([np.std(list(row.values()), ddof=1) for row in rows if len(row) > 1])
    print(f"Deviation of one seed, mean of six: median {np.median(deviations):.3f}, "
          f"{deviations.min():.3f} to {deviations.max():.3f}\n")  # fmt: skip
    print("\n".join((*null_table(deviations), "", *power_table(deviations), "", *regression_table(deviations))))
    print("\n".join(("", *cells_table(protocol))))


def null_table(deviations: Array, proposals: int = 10) -> Iterable[str]:
    """Shares called better, and intervals that hold, without a true effect."""
    yield "| test | seeds | p ≤ 0.01 | p ≤ 0.05 | p ≤ 0.10 | any at FDR 5 % | any at FDR 10 % | intervals that hold |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for name, prior in TESTS.items():
        for seeds in (3, 6):
            effects = list(archives(deviations, seeds, [0.0] * proposals, prior))
            p = np.array([[found.p_greater for found in each] for each in effects])
            adjusted = stats.false_discovery_control(p, axis=1)
            shares = [f"{(p <= level).mean():.3f}" for level in (0.01, 0.05, 0.10)]
            wrong = [f"{(adjusted <= level).any(axis=1).mean():.3f}" for level in (0.05, 0.10)]
            held = fmean(low <= 0 <= high for each in effects for low, high in (found.interval() for found in each))
            yield f"| {name} | {seeds} | {' | '.join(shares)} | {' | '.join(wrong)} | {held:.3f} |"


def power_table(deviations: Array, proposals: int = 10, true: int = 2) -> Iterable[str]:
    """Share of true effects found, two of ten proposals having one, and share of discoveries that are false."""
    gains = (0.05, 0.10, 0.15, 0.20)
    yield f"| test | seeds | {' | '.join(f'gain {gain:.2f}' for gain in gains)} | false discoveries |"
    yield f"|---|---:|{'---:|' * (len(gains) + 1)}"
    for name, prior in TESTS.items():
        for seeds in (3, 6):
            found, false = [], []
            for gain in gains:
                effects = archives(deviations, seeds, [gain] * true + [0.0] * (proposals - true), prior)
                p = np.array([[each.p_greater for each in archive] for archive in effects])
                called = stats.false_discovery_control(p, axis=1) <= 0.10
                found.append(f"{called[:, :true].mean():.2f}")
                false.append((called[:, true:].sum(axis=1) / np.maximum(called.sum(axis=1), 1)).mean())
            yield f"| {name} | {seeds} | {' | '.join(found)} | at most {max(false):.3f} |"


def regression_table(deviations: Array) -> Iterable[str]:
    """What the best of several proposals without an effect shows at first, and on fresh seeds."""
    yield "| proposals | first difference to the parent, best of them | the same on three fresh seeds |"
    yield "|---:|---:|---:|"
    chance = np.random.default_rng(1)
    for proposals in (1, 5, 10, 50):
        first, fresh = [], []
        for _ in range(ARCHIVES):
            spread = chance.choice(deviations, (proposals + 1, 1))
            scores = [(chance.normal(size=(proposals + 1, 3)) * spread).mean(axis=1) for _ in range(2)]
            best = 1 + int(scores[0][1:].argmax())
            first.append(scores[0][best] - scores[0][0])
            fresh.append(scores[1][best] - scores[1][0])
        yield f"| {proposals} | {fmean(first):+.3f} | {fmean(fresh):+.3f} |"


def cells_table(protocol: str, draws: int = 2_000) -> Iterable[str]:
    """Two rows of a board without a difference: seeds drawn anew from the residuals of the two, paired as they were."""
    trials, board, chance = shipped_by_variant(protocol), open_board(protocol, None), np.random.default_rng(2)
    yield "| task | noise of a paired difference, one seed | unpaired, p ≤ 0.05 | paired, p ≤ 0.05 | paired, p ≤ 0.01 |"
    yield "|---|---:|---:|---:|---:|"
    noises = noise_by_task(trials, MAD_TASKS)
    for task in MAD_TASKS:
        noise = noises.get(task)
        table = np.array([list(seed_accuracies(own)[task].values()) for own in trials.values()])
        residuals = table - table.mean(axis=1, keepdims=True)
        seeds, least = table.shape[1], board.least_difference(task, table.shape[1], table.shape[1])
        apart, paired = [], []
        for _ in range(draws):
            one, other = chance.choice(len(table), 2, replace=False)
            differences = (residuals[one] - residuals[other]) * np.sqrt(seeds / (seeds - 1))
            drawn = effect(list(chance.choice([-1, 1]) * chance.choice(differences, seeds)), noise)
            if drawn is not None and differences.any():
                apart.append(abs(drawn.mean) > least)
                paired.append(2 * min(drawn.p_greater, 1 - drawn.p_greater))
        shares = " | ".join(f"{np.mean(np.array(paired) <= level):.3f}" for level in (0.05, 0.01))
        deviation = np.sqrt(noise.variance) if noise else float("nan")
        yield f"| {task} | {deviation:.3f} | {fmean(apart):.3f} | {shares} |"


def archives(
    deviations: Array, seeds: int, gains: list[float], prior: Callable[[Noise | None], Noise | None]
) -> Iterable[list[Effect]]:
    """Effects of the proposals of each simulated archive against their parent, the first of the seed variants."""
    chance = np.random.default_rng(0)
    for _ in range(ARCHIVES):
        size = SEED_VARIANTS + len(gains)
        values = chance.normal(size=(size, seeds)) * chance.choice(deviations, (size, 1))
        values[SEED_VARIANTS:] += np.array(gains)[:, None]
        noise = prior(common_noise(values))
        effects = [effect(list(row - values[0]), noise) for row in values[SEED_VARIANTS:]]
        yield [found for found in effects if found is not None]


if __name__ == "__main__":
    main()
