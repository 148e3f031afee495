"""MQAR: targets re-derived token by token, the distribution against a literal generator, and that nothing leaks."""

import random
from collections import Counter

import numpy as np
import pytest

from evaluator.tasks.examples import IGNORED
from evaluator.tasks.mqar import MQAR
from evaluator.tasks.registry import examples
from evaluator.tasks.task import Setting
from tests.evaluator.tasks.literal_tasks import mqar, mqar_scored
from tests.evaluator.tasks.test_tasks import assert_same_histogram, expected_targets, rows

SMALL = MQAR.setting(vocabulary=9, length=12, train_examples=1, options=(("pairs", 2),))
SPARSE = MQAR.setting(vocabulary=33, length=64, train_examples=1, options=(("pairs", 8),))


def test_the_literal_targets_are_right_where_they_are_obvious() -> None:
    # keys 0 to 3, values 4 to 7, blank 8
    assert mqar_scored(SMALL, [3, 5, 0, 7, 8, 8, 0, 8, 3, 8, 8, 8]) == {6: 7, 8: 5}


@pytest.mark.parametrize("setting", [SMALL, SPARSE, *MQAR.plans["extra"].settings], ids=lambda s: s.id)
@pytest.mark.parametrize("split", ["train", "held", "test"])
def test_targets_follow_from_the_sequence(setting: Setting, split: str) -> None:
    pairs, blank = setting.option("pairs"), setting.vocabulary - 1
    for inputs, targets in rows(examples(setting, split, 30, seed=0)):
        keys, values, tail = inputs[: 2 * pairs : 2], inputs[1 : 2 * pairs : 2], inputs[2 * pairs :]
        assert len(set(keys)) == pairs
        assert all(0 <= key < blank // 2 for key in keys)
        assert all(blank // 2 <= value < blank for value in values)
        assert sorted(tail) == sorted([*keys, *[blank] * (len(tail) - pairs)])
        assert set(tail[1::2]) == {blank}
        assert targets == expected_targets(setting.length, mqar_scored(setting, inputs))
        assert sum(target != IGNORED for target in targets) == pairs


def test_it_has_the_distribution_of_the_literal_generator() -> None:
    rng = random.Random(0)
    literal = [mqar(SPARSE, rng) for _ in range(3_000)]
    drawn = examples(SPARSE, "train", 3_000, seed=0).inputs.tolist()
    pairs, blank = SPARSE.option("pairs"), SPARSE.vocabulary - 1
    for place in (0, 1, 2 * pairs - 2, 2 * pairs - 1):
        assert_same_histogram([s[place] for s in drawn], [s[place] for s in literal])

    def places(sequence: list[int]) -> list[int]:
        return [place for place in range(2 * pairs, len(sequence)) if sequence[place] != blank]

    for rank in (0, 3, 7):
        assert_same_histogram([places(s)[rank] for s in drawn], [places(s)[rank] for s in literal])
    for key in (0, pairs - 1):  # where the first and the last key come again
        again = [[s.index(s[2 * key], 2 * pairs) for s in which] for which in (drawn, literal)]
        assert_same_histogram(*again)


def test_the_answer_stands_nowhere_but_in_its_pair() -> None:
    """Neither a key, nor its place, nor other pairs tell of a value: each value is as frequent given any of them."""
    drawn = examples(SMALL, "train", 20_000, seed=0)
    inputs, targets = drawn.inputs.numpy(), drawn.targets.numpy()
    first, other = inputs[:, 1], inputs[:, 3]
    for given in (inputs[:, 0], other, (targets == first[:, None]).argmax(1)):
        for condition in np.unique(given):
            values = Counter(first[given == condition].tolist())
            if values.total() > 1_000:
                expected = values.total() / 4
                assert set(values) == {4, 5, 6, 7}
                assert all(abs(count - expected) < 5 * expected**0.5 for count in values.values())


@pytest.mark.parametrize(
    "wrong", [{"options": ()}, {"options": (("pairs", 0),)}, {"options": (("pairs", 5),)}, {"length": 7}]
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="pairs must be between"):
        MQAR.setting(**({"vocabulary": 9, "length": 64, "train_examples": 1, "options": (("pairs", 2),)} | wrong))
