"""Effects and discoveries: against scipy, on hand-made archives, and how often they are wrong, by simulation.

Simulated noise is that of the shipped trials of `quick`: each variant draws its own standard deviation of one seed from
those that the shipped variants show, so variants differ in noise as much as, or more than, they really do.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from archive.seeding import shipped_by_variant
from evaluator.outcomes import Trial
from evaluator.statistics.false_discovery import TriedProposal, benjamini_hochberg, discoveries
from evaluator.statistics.moderated_t_test import (
    Noise,
    chances,
    common_noise,
    effect,
    mean_noise,
    paired,
    seed_means,
    task_noise,
)
from evaluator.statistics.verdicts import verdict
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_trial, make_trials
from variants.contract import BASELINE

ARCHIVES, PROPOSALS, SEEDS, SEED_VARIANTS = 400, 10, 3, 24
Array = NDArray[np.float64]


def most(trials: int, rate: float) -> float:
    """A share that `trials` draws at `rate` exceed once in ten thousand times."""
    return float(stats.binom.ppf(0.9999, trials, rate)) / trials


@pytest.fixture(scope="module")
def deviations() -> Array:
    """Of one seed of the mean of six, by shipped variant."""
    return np.array(
        [np.std(list(seed_means(own, MAD_TASKS).values()), ddof=1) for own in shipped_by_variant("quick").values()]
    )


@pytest.fixture(scope="module")
def draw(deviations: Array) -> Callable[[np.random.Generator], Array]:
    """Means of six of seeds and proposals without a true difference: variants × seeds; row 0 is everyone's parent."""

    def drawn(chance: np.random.Generator) -> Array:
        shape = (SEED_VARIANTS + PROPOSALS, SEEDS)
        of_the_seed = chance.normal(0, 0.3, (1, SEEDS))  # paired away: without pairing, no gain could be found
        return 0.7 + of_the_seed + chance.normal(size=shape) * chance.choice(deviations, (shape[0], 1))

    return drawn


def one_task(variant: str, values: Array) -> list[Trial]:
    """The mean of six as a single task: a sixth of the work, and the same statistics."""
    return [make_trial(variant, "Memorize", seed, float(x)) for seed, x in enumerate(values)]


def simulate(draw: Callable[[np.random.Generator], Array], gains: list[float]) -> tuple[Array, Array]:
    """p and adjusted p of the proposals in each archive, as `discoveries` has them; the first truly gain `gains`."""
    chance = np.random.default_rng(5)
    found = []
    for _ in range(ARCHIVES):
        values = draw(chance)
        values[SEED_VARIANTS : SEED_VARIANTS + len(gains)] += np.array(gains)[:, None]
        everyone = {f"v{index}": one_task(f"v{index}", row) for index, row in enumerate(values)}
        names = [f"v{index}" for index in range(SEED_VARIANTS, len(values))]
        family = discoveries(
            [TriedProposal(n, "v0", everyone[n], everyone["v0"]) for n in names],
            mean_noise(everyone, ["Memorize"]),
            ["Memorize"],
            single=False,
        )
        tests = {test.name: test for test in family.means}
        found.append(([tests[name].p for name in names], [tests[name].adjusted for name in names]))
    both = np.array(found)
    return both[:, 0], both[:, 1]


@pytest.mark.slow
def test_without_an_effect_at_most_the_stated_share_is_called_better(draw: Callable[[np.random.Generator], Array]):
    p, adjusted = simulate(draw, [])
    for level in (0.01, 0.05, 0.10):
        # proposals of an archive share a parent: their errors are not independent, so the spread of shares counts
        shares = (p <= level).mean(axis=1)
        assert shares.mean() <= level + 4 * shares.std(ddof=1) / np.sqrt(ARCHIVES)
        assert (adjusted <= level).any(axis=1).mean() <= most(ARCHIVES, level)


@pytest.mark.slow
def test_with_effects_at_most_the_stated_share_of_discoveries_is_false_and_large_effects_are_found(
    draw: Callable[[np.random.Generator], Array],
):
    p, adjusted = simulate(draw, [0.15, 0.15, 0.05])
    called = adjusted <= 0.10
    false = called[:, 3:].sum(axis=1) / np.maximum(called.sum(axis=1), 1)
    assert false.mean() <= 0.10 + 4 * false.std(ddof=1) / np.sqrt(ARCHIVES)
    assert called[:, :2].mean() > 0.7
    assert called[:, 2].mean() > (p[:, 3:] <= 0.05).mean()


@pytest.mark.slow
def test_a_verdict_on_a_task_is_wrong_as_seldom_as_it_says_under_real_noise():
    """Noise drawn from the residuals of the shipped trials, which has heavier tails than a normal distribution."""
    chance = np.random.default_rng(6)
    pairs, outcomes = 300, []
    for task in MAD_TASKS:
        rows = [[t.accuracy for t in own if t.task == task] for own in shipped_by_variant("quick").values()]
        residuals = (np.array(rows) - np.mean(rows, axis=1, keepdims=True)).ravel() * np.sqrt(SEEDS / (SEEDS - 1))
        for ours, theirs in chance.choice(residuals, (pairs, 2, SEEDS)):
            one = [make_trial("a", task, seed, 0.5 + x) for seed, x in enumerate(ours)]
            other = [make_trial("b", task, seed, 0.5 + x) for seed, x in enumerate(theirs)]
            outcomes.append(verdict(one, other, "b", {}).tasks[task].outcome)
    assert outcomes.count("better") / len(outcomes) <= most(len(outcomes), 0.025)
    assert outcomes.count("worse") / len(outcomes) <= most(len(outcomes), 0.025)


def test_intervals_hold_as_often_as_they_say(draw: Callable[[np.random.Generator], Array]):
    chance = np.random.default_rng(7)
    held = {"moderated": 0, "paired": 0}
    for _ in range(600):
        values = draw(chance)
        values[SEED_VARIANTS] += 0.1
        noise = common_noise({str(index): dict(enumerate(row)) for index, row in enumerate(values.tolist())})
        for name, known in (("moderated", noise), ("paired", None)):
            found = effect(list(values[SEED_VARIANTS] - values[0]), known)
            assert found is not None
            low, high = found.interval()
            held[name] += low <= 0.1 <= high
    low, high = stats.binom.ppf([0.0001, 0.9999], 600, 0.95)
    assert low <= held["paired"] <= high
    assert low <= held["moderated"]


def test_without_common_noise_an_effect_is_scipys_paired_test():
    ours, theirs = [0.5, 0.7, 0.65, 0.6], [0.4, 0.65, 0.66, 0.5]
    found = effect(list(np.subtract(ours, theirs)), None)
    expected = stats.ttest_rel(ours, theirs, alternative="greater")
    assert found is not None
    assert found.p_greater == pytest.approx(expected.pvalue)
    two_sided = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found.interval() == pytest.approx((two_sided.low, two_sided.high))
    assert effect([0.3], None) is None
    assert effect([], Noise(1.0, 9)) is None


def test_the_chances_of_many_are_those_of_each():
    noise, chance = Noise(0.01, 40), np.random.default_rng(3)
    found = [effect(chance.normal(size=n).tolist(), noise) for n in (1, 2, 3, 3, 5)]
    found += [effect([0.5, 0.5], None), effect([-0.5, -0.5], None), effect([0.0, 0.0], None)]
    known = [each for each in found if each is not None]
    assert len(known) == 8
    assert chances(known).tolist() == [each.p_greater for each in known]
    assert chances([]).tolist() == []


def test_one_seed_is_judged_by_the_noise_of_others():
    found = effect([0.3], Noise(variance=0.01, freedom=40))
    assert found is not None
    assert found.p_greater == pytest.approx(stats.t.sf(3.0, 8))


def test_common_noise_pairs_away_what_a_seed_does_to_all():
    chance = np.random.default_rng(8)
    values = chance.normal(0, 0.05, (400, 4)) + chance.normal(0, 1, (400, 1)) + chance.normal(0, 1, (1, 4))
    found = common_noise({str(index): dict(enumerate(row)) for index, row in enumerate(values.tolist())})
    assert found is not None
    assert found.variance == pytest.approx(2 * 0.05**2, rel=0.1)
    assert found.freedom == 399 * 3
    assert common_noise({"alone": {0: 0.1, 1: 0.2}}) is None
    assert common_noise({"a": {0: 0.1}, "b": {0: 0.2}}) is None
    assert common_noise({}) is None


@pytest.mark.parametrize("own", [{0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.5}, {0: 0.1}])
def test_one_variant_with_other_seeds_takes_the_noise_from_nobody(own: dict[int, float]):
    chance = np.random.default_rng(9)
    others = {str(index): dict(enumerate(row)) for index, row in enumerate(chance.normal(0, 0.05, (20, 3)).tolist())}
    found, last = common_noise({"first": own, **others}), common_noise({**others, "last": own})
    assert found is not None
    assert last is not None
    assert found.variance == pytest.approx(last.variance)
    assert found.freedom == last.freedom == (20 if len(own) > 1 else 19) * 2


def test_only_what_was_trained_tells_of_a_tasks_noise():
    known = {
        "a": make_trials("a", [0.1, 0.2]),
        "b": make_trials("b", [0.3, 0.2]),
        "c": make_trials("c", [0.1, 0.2], inherited_from="a"),
    }
    without = {name: known[name] for name in ("a", "b")}
    assert task_noise(known, "Memorize") == task_noise(without, "Memorize")
    assert mean_noise(without, MAD_TASKS) == pytest.approx(task_noise(without, "Memorize"))


def test_variants_of_one_seed_take_no_noise_from_those_of_two():
    two = {name: {0: 0.5 + place / 9, 1: 0.6 - place / 7} for place, name in enumerate("abc")}
    one = {f"z{place}": {0: 0.3} for place in range(9)}
    assert common_noise({**two, **one}) == common_noise(two)
    assert common_noise(two) is not None
    assert common_noise(one) is None
    three = {name: own | {2: 0.4} for name, own in two.items()}
    more = {f"m{place}": {0: 0.1, 1: 0.2, 2: 0.25 + place / 99, 3: 0.3, 4: 0.2} for place in range(2)}
    assert common_noise({**three, **more}) == common_noise(
        {**three, **{name: {seed: own[seed] for seed in range(3)} for name, own in more.items()}}
    )


def test_pruned_proposals_count_as_tried_and_inert_ones_do_not():
    everyone = shipped_by_variant("quick")
    parent, better = everyone[BASELINE], make_trials("x", [0.95, 0.95, 0.96])
    family = [TriedProposal("x", BASELINE, better, parent)]
    alone = discoveries(family, mean_noise(everyone, MAD_TASKS), MAD_TASKS)
    assert [test.name for test in alone.better(0.05)] == ["x"]
    assert alone.tried == 1
    inert = TriedProposal("y", BASELINE, make_trials("y", [0.7, 0.7, 0.7], inherited_from=BASELINE), parent)
    among = discoveries([*family, inert], mean_noise(everyone, MAD_TASKS), MAD_TASKS, pruned=9)
    assert (among.tried, among.pruned) == (10, 9)
    assert among.means[0].adjusted == pytest.approx(10 * alone.means[0].adjusted)
    assert {test.n for test in among.tasks} == {3}


def test_the_tests_of_some_are_those_among_all():
    everyone = shipped_by_variant("quick")
    noise, names = mean_noise(everyone, MAD_TASKS), [name for name in everyone if name != BASELINE]
    family = [TriedProposal(name, BASELINE, everyone[name], everyone[BASELINE]) for name in names]
    every = discoveries(family, noise, MAD_TASKS, pruned=2)
    some = discoveries(family, noise, MAD_TASKS, pruned=2, only=names[1:3])
    assert (some.tried, some.pruned, some.untestable) == (every.tried, every.pruned, every.untestable)
    assert some.means == tuple(test for test in every.means if test.name in names[1:3])
    assert some.tasks == tuple(test for test in every.tasks if test.name in names[1:3])
    assert {test.name for test in some.means} == {*names[1:3]}


def test_one_seed_each_is_not_testable():
    family = [TriedProposal("x", "a", make_trials("x", [0.9]), make_trials("a", [0.1]))]
    found = discoveries(family, mean_noise({"a": make_trials("a", [0.1])}, MAD_TASKS), MAD_TASKS)
    assert (found.tried, found.untestable, found.means) == (0, 1, ())


def test_pairs_are_of_the_same_seed_and_of_all_tasks_that_are_asked_for():
    ours = [t for t in make_trials("x", [0.5, 0.6, 0.9]) if t.task != "Compress"]
    theirs = make_trials("a", [0.4, 0.1])[:6] + make_trials("a", [0.0, 0.0, 0.5])[12:]
    assert paired(ours, theirs, [task for task in MAD_TASKS if task != "Compress"]) == pytest.approx([0.1, 0.4])
    assert paired(ours, theirs, MAD_TASKS) == [], "what lacks a task has no mean of them all"


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_adjusted_p_values_are_those_of_scipy(count: int):
    ps = np.random.default_rng(count).uniform(size=count).round(2)
    expected = stats.false_discovery_control(ps, method="bh") if count else ps
    assert benjamini_hochberg(ps.tolist()).tolist() == pytest.approx(expected.tolist(), abs=1e-15)
