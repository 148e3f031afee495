"""State Tracking: the group by hand and by its laws, targets re-derived token by token, shares of moves."""

import math

import numpy as np
import pytest
import torch

from evaluator.tasks.registry import examples
from evaluator.tasks.state_tracking import STATE_TRACKING, neighbour_swaps, products
from evaluator.tasks.task import Setting
from tests.evaluator.tasks.literal_tasks import tracked
from tests.evaluator.tasks.test_tasks import rows

SETTINGS = STATE_TRACKING.plans["extra"].settings
each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.id)

# The six orders of three: 0 is 012, 1 is 021, 2 is 102, 3 is 120, 4 is 201, 5 is 210.
BY_HAND = [
    ([0, 0], [0, 0]),
    ([1, 1], [1, 0]),
    ([2, 1], [2, 4]),
    ([1, 2], [1, 3]),
    ([2, 1, 2, 1, 2, 1], [2, 4, 5, 3, 1, 0]),
]


@pytest.mark.parametrize(("tokens", "states"), BY_HAND)
def test_products_by_hand(tokens: list[int], states: list[int]) -> None:
    assert tracked(3, tokens) == states
    state, found = 0, []
    for token in tokens:
        state = int(products(3)[token, state])
        found.append(state)
    assert found == states


@pytest.mark.parametrize("degree", [3, 4, 5])
def test_the_products_form_a_group_that_the_swaps_generate(degree: int) -> None:
    table, order = products(degree), math.factorial(degree)
    assert table.shape == (order, order)
    assert (np.sort(table, axis=0) == np.arange(order)[:, None]).all()
    assert (table[0] == np.arange(order)).all()
    a, b, c = np.random.default_rng(0).integers(order, size=(3, 500))
    assert (table[table[a, b], c] == table[a, table[b, c]]).all()
    swaps = neighbour_swaps(degree)
    assert len(swaps) == degree - 1
    assert (table[swaps, swaps] == 0).all()
    reached = {0}
    while further := {int(table[swap, state]) for swap in swaps for state in reached} - reached:
        reached |= further
    assert len(reached) == order


@each_setting
@pytest.mark.parametrize("split", ["train", "held", "test"])
def test_targets_follow_from_the_sequence(setting: Setting, split: str) -> None:
    for inputs, targets in rows(examples(setting, split, 30, seed=0)):
        assert len(inputs) == setting.length
        assert targets == tracked(setting.option("S"), inputs)


@each_setting
def test_moves_have_their_share_at_every_position_and_all_swaps_are_alike(setting: Setting) -> None:
    inputs = examples(setting, "train", 4_000, seed=0).inputs
    share, swaps = setting.option("moves") / 100, neighbour_swaps(setting.option("S"))
    assert set(inputs.unique().tolist()) == {0, *swaps.tolist()}
    error = math.sqrt(share * (1 - share) / len(inputs))
    assert ((inputs != 0).float().mean(0) - share).abs().max() < 5 * error
    after = inputs[:, 1:][inputs[:, :-1] != 0] != 0  # one move says nothing of the next
    assert abs(float(after.float().mean()) - share) < 5 * math.sqrt(share / after.numel())
    counts = torch.stack([(inputs == swap).sum() for swap in swaps.tolist()]).double()
    assert (counts - counts.mean()).abs().max() < 5 * counts.mean().sqrt()


@each_setting
def test_the_last_move_does_not_tell_the_state(setting: Setting) -> None:
    """Late in a sequence no state is frequent enough to be a good guess, whatever the last token is."""
    drawn = examples(setting, "test", 4_000, seed=0)
    for token in drawn.inputs[:, -1].unique():
        states = drawn.targets[drawn.inputs[:, -1] == token, -1]
        assert int(states.bincount().max()) / states.numel() < 0.3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"options": (("S", 6), ("moves", 15))}, "must be 3, 4 or 5, not 6"),
        ({"options": (("S", 3), ("moves", 0))}, "between 1 and 100, not 0"),
        ({"options": (("S", 3),)}, "between 1 and 100, not 0"),
        ({"vocabulary": 7}, "S3 has 6 elements: vocabulary must be 6"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], message: str) -> None:
    possible = {"vocabulary": 6, "length": 64, "train_examples": 1, "options": (("S", 3), ("moves", 15))}
    with pytest.raises(ValueError, match=message):
        STATE_TRACKING.setting(**(possible | wrong))
