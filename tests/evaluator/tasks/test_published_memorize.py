"""What the reproduction of the published Memorize column adds to `mad`: the reference's accuracy and its map."""

import pytest
import torch

from benchmarks.memorize import macro_recall, with_one_to_one_map
from evaluator.tasks.examples import IGNORED
from evaluator.tasks.registry import TASKS, examples
from evaluator.tasks.task import Setting


def test_macro_recall_counts_classes_that_occur_or_are_predicted_alike() -> None:
    right = torch.tensor([0, 0, 0, 0, 5])
    assert macro_recall(right, right) == 1.0
    assert macro_recall(torch.tensor([0, 0, 0, 1, 5]), right) == pytest.approx((3 / 4 + 0 + 1) / 3)
    assert macro_recall(torch.tensor([7, 7, 7, 7, 7]), right) == 0.0


@pytest.mark.parametrize("setting", TASKS["Memorize"].published[:3], ids=lambda s: s.id)
def test_a_one_to_one_map_keeps_the_keys_and_shares_no_value(setting: Setting) -> None:
    value_of: dict[int, int] = {}
    for split in ("train", "test"):
        drawn = examples(setting, split, 256, seed=0)
        changed = with_one_to_one_map(drawn, setting, seed=0)
        assert changed.inputs.equal(drawn.inputs)
        assert changed.targets.eq(IGNORED).equal(drawn.targets.eq(IGNORED))
        keys, values = changed.inputs[:, ::2].flatten().tolist(), changed.targets[:, 1::2].flatten().tolist()
        for key, value in zip(keys, values, strict=True):
            assert value_of.setdefault(key, value) == value
    half = (setting.vocabulary - 1) // 2
    assert len(value_of) == len(set(value_of.values())) == half
    assert all(half <= value < setting.vocabulary - 1 for value in value_of.values())
