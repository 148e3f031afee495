"""Effects and discoveries: against scipy, on hand-made archives, and how often they are wrong, by simulation.

Simulated noise is that of the shipped trials of `quick`: each variant draws its own standard deviation of one seed from
those that the shipped variants show, so variants differ in noise as much as, or more than, they really do.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from archive.seeding import shipped_by_variant
from evaluator.outcomes import Trial
from evaluator.statistics.false_discovery import benjamini_hochberg, discoveries
from evaluator.statistics.moderated_t_test import (
    Noise,
    common_noise,
    effect,
    effects,
    mean_noise,
    noise_by_task,
    paired,
    seed_means,
)
from evaluator.statistics.scorecards import lazy_trials
from evaluator.statistics.seed_table import seed_table
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


def rows(*each: dict[int, float]) -> Array:
    """Variants × seeds, NaN where one lacks a seed."""
    seeds = sorted({seed for own in each for seed in own})
    return np.array([[own.get(seed, np.nan) for seed in seeds] for own in each]).reshape(len(each), len(seeds))


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
            seed_table(everyone, ["Memorize"]),
            [(name, "v0") for name in names],
            mean_noise(everyone, ["Memorize"]),
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
        noise = common_noise(values)
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


def test_the_effects_of_many_are_those_of_each():
    chance = np.random.default_rng(3)
    differences = [chance.normal(size=n).tolist() for n in (0, 1, 2, 3, 3, 5)] + [[0.5, 0.5], [-0.5, -0.5], [0.0, 0.0]]
    for noise in (Noise(0.01, 40), Noise(0.01, 3), None):
        many = effects(rows(*(dict(enumerate(own)) for own in differences)), noise)
        for place, own in enumerate(differences):
            if (one := effect(own, noise)) is None:
                assert many.freedom[place] == 0
            else:
                assert (many[place].n, many[place].freedom) == (one.n, one.freedom)
                assert (many[place].mean, many[place].error) == pytest.approx((one.mean, one.error), abs=1e-15)
        known = many.only(many.freedom > 0)
        assert known.p_greater.tolist() == pytest.approx([known[place].p_greater for place in range(len(known))])
    assert effects(np.empty((0, 3)), None).p_greater.tolist() == []


def test_one_seed_is_judged_by_the_noise_of_others():
    found = effect([0.3], Noise(variance=0.01, freedom=40))
    assert found is not None
    assert found.p_greater == pytest.approx(stats.t.sf(3.0, 8))


def test_common_noise_pairs_away_what_a_seed_does_to_all():
    chance = np.random.default_rng(8)
    values = chance.normal(0, 0.05, (400, 4)) + chance.normal(0, 1, (400, 1)) + chance.normal(0, 1, (1, 4))
    found = common_noise(values)
    assert found is not None
    assert found.variance == pytest.approx(2 * 0.05**2, rel=0.1)
    assert found.freedom == 399 * 3
    assert common_noise(rows({0: 0.1, 1: 0.2})) is None
    assert common_noise(rows({0: 0.1}, {0: 0.2})) is None
    assert common_noise(rows()) is None


@pytest.mark.parametrize("own", [{0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.5}, {0: 0.1}])
def test_one_variant_with_other_seeds_takes_the_noise_from_nobody(own: dict[int, float]):
    chance = np.random.default_rng(9)
    others = [dict(enumerate(row)) for row in chance.normal(0, 0.05, (20, 3)).tolist()]
    found, last = common_noise(rows(own, *others)), common_noise(rows(*others, own))
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
    assert noise_by_task(known, MAD_TASKS) == noise_by_task(without, MAD_TASKS)
    mean, own = mean_noise(without, MAD_TASKS), noise_by_task(without, MAD_TASKS)["Memorize"]
    assert mean is not None
    assert (mean.variance, mean.freedom) == (pytest.approx(own.variance), own.freedom)


def test_variants_of_one_seed_take_no_noise_from_those_of_two():
    two = [{0: 0.5 + place / 9, 1: 0.6 - place / 7} for place in range(3)]
    one = [{0: 0.3}] * 9
    assert common_noise(rows(*two, *one)) == common_noise(rows(*two))
    assert common_noise(rows(*two)) is not None
    assert common_noise(rows(*one)) is None
    three = [own | {2: 0.4} for own in two]
    more = [{0: 0.1, 1: 0.2, 2: 0.25 + place / 99, 3: 0.3, 4: 0.2} for place in range(2)]
    assert common_noise(rows(*three, *more)) == common_noise(
        rows(*three, *({seed: own[seed] for seed in range(3)} for own in more))
    )


def test_pruned_proposals_count_as_tried_and_inert_ones_do_not():
    everyone = {
        **shipped_by_variant("quick"),
        "x": make_trials("x", [0.95, 0.95, 0.96]),
        "y": make_trials("y", [0.7, 0.7, 0.7], inherited_from=BASELINE),
    }
    table, noise = seed_table(everyone, MAD_TASKS), mean_noise(shipped_by_variant("quick"), MAD_TASKS)
    alone = discoveries(table, [("x", BASELINE)], noise)
    assert [test.name for test in alone.better(0.05)] == ["x"]
    assert alone.tried == 1
    among = discoveries(table, [("x", BASELINE), ("y", BASELINE)], noise, pruned=9)
    assert (among.tried, among.pruned) == (10, 9)
    assert among.means[0].adjusted == pytest.approx(10 * alone.means[0].adjusted)
    assert {test.n for test in among.tasks} == {3}


def test_each_test_is_that_of_its_pair():
    """Against the effects of single pairs, for variants that lack a seed or a task, or inherited some."""
    everyone: dict[str, Sequence[Trial]] = dict(shipped_by_variant("quick"))
    names = [name for name in everyone if name != BASELINE]
    everyone[names[0]] = [trial for trial in everyone[names[0]] if trial.seed != 1]
    everyone[names[1]] = [trial for trial in everyone[names[1]] if trial.task != "Compress"]
    everyone[names[2]] = [
        trial.model_copy(update={"inherited_from": BASELINE}) if trial.task == "Memorize" else trial
        for trial in everyone[names[2]]
    ]
    for kept in ({}, {name: lazy_trials(own) for name, own in everyone.items()}):
        known = {**everyone, **kept}
        noise = mean_noise(known, MAD_TASKS)
        found = discoveries(seed_table(known, MAD_TASKS), [(name, BASELINE) for name in names], noise)
        expected = {
            name: one
            for name in names
            if name != names[1] and (one := effect(paired(everyone[name], everyone[BASELINE], MAD_TASKS), noise))
        }
        assert {test.name for test in found.means} == expected.keys()
        for test in found.means:
            one = expected[test.name]
            assert (test.difference, test.low, test.high) == pytest.approx((one.mean, *one.interval()), abs=1e-12)
            assert (test.n, test.p) == (one.n, pytest.approx(one.p_greater, abs=1e-12))
        tasks = {(test.name, test.task): test for test in found.tasks}
        assert len(tasks) == len(found.tasks) == len(MAD_TASKS) * (len(names) - 1) - 1
        assert (names[2], "Memorize") not in tasks
        for (name, task), test in tasks.items():
            one = effect(paired(everyone[name], everyone[BASELINE], [task or ""]), None)
            assert one is not None
            assert (test.difference, test.p) == pytest.approx((one.mean, one.p_greater), abs=1e-12)


def test_tests_are_looked_up_by_name_and_come_best_first():
    everyone = shipped_by_variant("quick")
    noise, names = mean_noise(everyone, MAD_TASKS), [name for name in everyone if name != BASELINE]
    found = discoveries(seed_table(everyone, MAD_TASKS), [(name, BASELINE) for name in names], noise, pruned=2)
    every = list(found.means)
    assert every == sorted(every, key=lambda test: (test.p, test.name))
    assert list(found.means[:3]) == every[:3]
    assert found.means[-1] == every[-1]
    assert found.means.of(names[1:3]) == [test for test in every if test.name in names[1:3]]
    assert found.tasks.of(names[1:2]) == [test for test in found.tasks if test.name == names[1]]
    called = found.better(0.10)
    assert called == tuple(test for test in every if test.adjusted <= 0.10)
    lost = [test for test in every if test.p <= 0.5 and test.adjusted > 0.10]
    assert found.by_chance(0.5, 0.10) == len(lost)


def test_one_seed_each_is_not_testable():
    known = {"x": make_trials("x", [0.9]), "a": make_trials("a", [0.1])}
    found = discoveries(seed_table(known, MAD_TASKS), [("x", "a")], mean_noise({"a": known["a"]}, MAD_TASKS))
    assert (found.tried, found.untestable, list(found.means)) == (0, 1, [])


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
