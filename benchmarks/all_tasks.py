"""On how many tasks each shipped row is above the reference and the baseline, and for how many comparisons that holds.

python -m benchmarks.all_tasks
python -m benchmarks.all_tasks --tries 6 --seeds 2 3

Reads the trials that ship; trains nothing. Prints Markdown, a table for each rival: on how many tasks the mean of the
paired differences is above 0, and on how many it is better beyond noise: each task for itself (95 %), counting the
tasks, and counting the tries too (Bonferroni: 1 - 0.05 / tasks / tries). Then, for `--name`, the interval and the
one-sided p-value of each task: with the noise that all rows of the protocol have together, as in every verdict, and by
the pair's own differences alone (a paired t-test). That it is above on all tasks at once is as sure as its least sure
task: the largest p (an intersection-union test: Berger 1996, "Likelihood ratio tests and intersection-union tests");
tasks do not count.
"""

import argparse
from collections.abc import Mapping, Sequence

from archive.seeding import shipped_by_variant
from evaluator.outcomes import Comparison, Trial
from evaluator.protocols.built_in import JUDGING, tasks_of
from evaluator.statistics.moderated_t_test import effect, noise_by_task, paired
from evaluator.statistics.verdicts import TaskNoise, verdict
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, short_name

BEST = "delta_net_4layer_written_echo_and_successor_halves_own_error_in_for_loop"
"""The find that was taken up first: docs/results/standard.md."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=[each.name for each in JUDGING], default="standard")
    parser.add_argument("--tries", type=int, default=6, help="how many finds were compared")
    parser.add_argument("--seeds", type=int, nargs="+", help="compare on these seeds alone; the noise is that of all")
    parser.add_argument("--name", default=BEST, help="the variant whose tasks are told")
    options = parser.parse_args()
    every = shipped_by_variant(options.protocol)
    noise = noise_by_task(every, tasks_of(options.protocol))
    wanted = options.seeds
    trials = {name: [t for t in own if wanted is None or t.seed in wanted] for name, own in every.items()}
    for rival in (REFERENCE, BASELINE):
        print_counts(trials, rival, noise, options.tries)
    for rival in (each for each in (REFERENCE, BASELINE) if each != options.name):
        print_tasks(trials, options.name, rival, noise, options.tries)


def print_counts(trials: Mapping[str, Sequence[Trial]], rival: str, noise: TaskNoise, tries: int) -> None:
    """One row for each variant that shares seeds with the rival."""
    print(f"\n| against `{rival}` | seeds | above | better | counting tasks | counting {tries} tries too |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, own in trials.items():
        verdicts = compared(own, trials[rival], rival, noise, tries) if name != rival else []
        if not verdicts:
            continue
        seeds = sorted({each.n for each in verdicts[0].values()})
        above = sum(each.difference > 0 for each in verdicts[0].values())
        better = [sum(each.outcome == "better" for each in found.values()) for found in verdicts]
        print(f"| `{short_name(name)}` | {', '.join(map(str, seeds))} | {above} | {' | '.join(map(str, better))} |")


def print_tasks(trials: Mapping[str, Sequence[Trial]], name: str, rival: str, noise: TaskNoise, tries: int) -> None:
    """The interval and the p-value of each task; nothing where the two share no seed."""
    verdicts = compared(trials[name], trials[rival], rival, noise, tries)
    if not verdicts:
        return
    print(f"\n| `{short_name(name)}` less `{rival}` | n | difference | alone | counting tasks "
          f"| counting {tries} tries too | p | by its own seeds | p |")  # fmt: skip
    print("|---|---:|---:|---|---|---|---:|---|---:|")
    own_seeds = verdict(trials[name], trials[rival], rival, {}).tasks
    chances = []
    for task, first in verdicts[0].items():
        chances.append(tuple(p_above(trials[name], trials[rival], task, each) for each in (noise, {})))
        intervals = [interval(own[task]) for own in verdicts]
        pooled, own = map(told, chances[-1])
        cells = (task, first.n, f"{first.difference:+.3f}", *intervals, pooled, interval(own_seeds[task]), own)
        print("| " + " | ".join(map(str, cells)) + " |")
    pooled, own = (told(max(each)) for each in zip(*chances, strict=True))
    print(
        f"\nAbove on all at once: p {pooled}, by its own seeds {own}: the largest of the one-sided ones of the tasks."
    )


def interval(found: Comparison) -> str:
    """The interval of a difference."""
    return f"{found.low:+.3f} to {found.high:+.3f}"


def told(p: float) -> str:
    """Four digits; never a p of 0."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def p_above(own: Sequence[Trial], other: Sequence[Trial], task: TaskName, noise: TaskNoise) -> float:
    """One-sided p-value of the paired differences of a task; 1 where one seed tells of no noise."""
    found = effect(paired(own, other, (task,)), noise.get(task))
    return 1.0 if found is None else found.p_greater


def compared(
    own: Sequence[Trial], other: Sequence[Trial], rival: str, noise: TaskNoise, tries: int
) -> list[Mapping[TaskName, Comparison]]:
    """The comparison of each task: for itself, counting the tasks, and counting the tries too; none without a seed."""
    first = verdict(own, other, rival, noise).tasks
    if not first:
        return []
    counted = (1 - 0.05 / len(first), 1 - 0.05 / len(first) / tries)
    return [first, *(verdict(own, other, rival, noise, level).tasks for level in counted)]


if __name__ == "__main__":
    main()
