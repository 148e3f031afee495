"""Long Copy: targets re-derived token by token, and twice the length in test alone."""

from dataclasses import replace

import pytest

from evaluator.tasks.compress import COMPRESS
from evaluator.tasks.examples import IGNORED
from evaluator.tasks.long_copy import LONG_COPY, draw
from evaluator.tasks.registry import examples, fed_length, longest_fed, stream
from evaluator.tasks.task import Setting
from tests.evaluator.tasks.test_tasks import rows

SMALL = LONG_COPY.setting(vocabulary=9, length=6, train_examples=1, copies=3)
SETTINGS = [SMALL, *LONG_COPY.plans["extra"].settings]
each_setting = pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.id)


def test_one_example_by_hand() -> None:
    # content tokens 0 to 7, copy token 8; what follows the copy token is fed as it should have been predicted
    ((inputs, targets),) = rows(draw(SMALL, "train", 1, lambda purpose: stream(SMALL, purpose, 0)))
    a, b, c = inputs[:3]
    assert inputs == [a, b, c, 8, a, b]
    assert targets == [IGNORED, IGNORED, IGNORED, a, b, c]


@each_setting
@pytest.mark.parametrize("split", ["train", "held", "test"])
def test_targets_follow_from_the_sequence(setting: Setting, split: str) -> None:
    copies = setting.copies * (2 if split == "test" else 1)
    for inputs, targets in rows(examples(setting, split, 30, seed=0)):
        string = inputs[:copies]
        assert all(0 <= token < setting.vocabulary - 1 for token in string)
        assert inputs == [*string, setting.vocabulary - 1, *string[:-1]]
        assert targets == [IGNORED] * copies + string


@each_setting
def test_only_the_test_is_twice_as_long(setting: Setting) -> None:
    assert fed_length(setting, "train") == fed_length(setting, "held") == setting.length
    assert fed_length(setting, "test") == longest_fed(setting) == 2 * setting.length


def test_an_autoencoder_cannot_be_tested_at_another_length() -> None:
    with pytest.raises(ValueError, match="stretch is 1"):
        replace(COMPRESS, stretch=2)


def test_tokens_are_uniform_and_independent() -> None:
    """What is fed so far says nothing of the next token but by the string."""
    string = examples(SMALL, "train", 20_000, seed=0).inputs[:, :3]
    pairs = (string[:, 0] * 8 + string[:, 1]).bincount(minlength=64)
    expected = len(string) / 64
    assert (pairs - expected).abs().max() < 5 * expected**0.5


@pytest.mark.parametrize("wrong", [{"length": 7}, {"copies": 0}, {"copies": 4}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="length must be twice copies"):
        LONG_COPY.setting(**({"vocabulary": 9, "length": 6, "train_examples": 1, "copies": 3} | wrong))
