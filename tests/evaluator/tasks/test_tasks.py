"""The generators: every target re-derived token by token, and the distributions held against a literal generator."""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from statistics import fmean, pvariance

import pytest
import torch

from evaluator.tasks.examples import IGNORED, Examples, first_occurrence
from evaluator.tasks.registry import MAD_TASKS, TASKS, examples, fed_length
from evaluator.tasks.task import Setting
from tests.evaluator.tasks.literal_tasks import fuzzy, fuzzy_pairs, fuzzy_scored, recall, recall_scored, selective_copy

ALL_SETTINGS = [setting for task in MAD_TASKS for setting in TASKS[task].published]
each_setting = pytest.mark.parametrize("setting", ALL_SETTINGS, ids=lambda s: f"{s.task}-{s.id}".replace(" ", ""))
each_split = pytest.mark.parametrize("split", ["train", "held", "test"])


def rows(drawn: Examples) -> Iterable[tuple[list[int], list[int]]]:
    return zip(drawn.inputs.tolist(), drawn.targets.tolist(), strict=True)


def expected_targets(length: int, scored: dict[int, int]) -> list[int]:
    return [scored.get(position, IGNORED) for position in range(length)]


def assert_same_mean(ours: list[float], theirs: list[float]) -> None:
    error = math.sqrt(pvariance(ours) / len(ours) + pvariance(theirs) / len(theirs))
    assert abs(fmean(ours) - fmean(theirs)) <= 4.5 * error + 1e-12


def assert_same_histogram(ours: Iterable[int], theirs: Iterable[int]) -> None:
    """Every frequency within 5 standard errors (draws within a sequence are nearly independent)."""
    mine, other = Counter(ours), Counter(theirs)
    n, m = mine.total(), other.total()
    for value in mine.keys() | other.keys():
        share = (mine[value] + other[value]) / (n + m)
        assert abs(mine[value] / n - other[value] / m) <= 5 * math.sqrt(share * (1 / n + 1 / m)), value


def test_there_are_66_settings_and_every_task_has_a_generator() -> None:
    assert {task: len(TASKS[task].published) for task in MAD_TASKS} == {
        "Compress": 11,
        "Context Recall": 11,
        "Fuzzy Recall": 11,
        "Memorize": 6,
        "Noisy Recall": 14,
        "Selective Copy": 13,
    }
    assert len({(setting.task, setting.id) for setting in ALL_SETTINGS}) == 66


@each_setting
@each_split
def test_shapes_dtypes_and_vocabulary(setting: Setting, split: str) -> None:
    drawn = examples(setting, split, 5, seed=1)
    for tensor in (drawn.inputs, drawn.targets):
        assert tensor.shape == (5, fed_length(setting))
        assert tensor.dtype == torch.int64
    assert drawn.inputs.min() >= 0
    assert drawn.inputs.max() < setting.vocabulary
    counted = drawn.targets[drawn.targets != IGNORED]
    assert counted.min() >= 0
    assert counted.max() < setting.vocabulary
    assert (drawn.targets != IGNORED).any(dim=1).all()


LARGER, LONGER, FEWER = {32, 64, 128}, {256, 512, 1_024}, {6_400, 3_200, 1_600, 800}
FACTORS = {
    "Compress": {"vocabulary": LARGER, "length": {64, 128, 256}, "train_examples": FEWER},
    "Context Recall": {"vocabulary": LARGER, "length": LONGER, "train_examples": FEWER},
    "Fuzzy Recall": {"vocabulary": LARGER, "length": LONGER, "train_examples": FEWER},
    "Memorize": {"vocabulary": {512, 1_024, 2_048, 4_096, 8_192}},
    "Noisy Recall": {
        "vocabulary": {48, 80, 144},
        "length": LONGER,
        "train_examples": FEWER,
        "noise": {0.4, 0.6, 0.8},
    },
    "Selective Copy": {
        "vocabulary": LARGER,
        "length": {512, 1_024},
        "train_examples": FEWER,
        "copies": {32, 64, 96},
    },
}


@pytest.mark.parametrize("task", MAD_TASKS)
def test_every_other_setting_changes_one_factor_of_the_baseline(task: str) -> None:
    first, *others = (setting.model_dump() for setting in TASKS[task].published)
    found: dict[str, set[float]] = {}
    for other in others:
        ((factor, value),) = other.items() - first.items()
        found.setdefault(factor, set()).add(value)
    assert found == FACTORS[task]


@pytest.mark.parametrize(
    ("task", "vocabulary", "fed", "train_examples", "scored_in_training", "scored_in_test"),
    [
        ("Compress", 16, 32, 12_800, 32, 32),
        ("Context Recall", 16, 127, 12_800, 127, 56),
        ("Fuzzy Recall", 16, 128, 12_800, 128, 4.5),
        ("Memorize", 256, 32, 256, 16, 16),
        ("Noisy Recall", 32, 127, 12_800, 127, 44),
        ("Selective Copy", 16, 256, 12_800, 16, 16),
    ],
)
def test_baselines_have_the_measured_sizes(
    task: str, vocabulary: int, fed: int, train_examples: int, scored_in_training: int, scored_in_test: float
) -> None:
    setting = TASKS[task].published[0]
    assert (setting.vocabulary, fed_length(setting), setting.train_examples) == (vocabulary, fed, train_examples)
    train, test = (examples(setting, split, 1_280, seed=0).targets.ne(IGNORED).sum(1) for split in ("train", "test"))
    assert (train == scored_in_training).all()
    assert float(test.float().mean()) == pytest.approx(scored_in_test, rel=0.03)


@pytest.mark.parametrize("task", MAD_TASKS)
def test_a_seed_repeats_and_seeds_and_splits_differ(task: str) -> None:
    setting = TASKS[task].published[0]
    first = examples(setting, "train", 8, seed=3)
    again = examples(setting, "train", 8, seed=3)
    assert first.inputs.equal(again.inputs)
    assert first.targets.equal(again.targets)
    for other in (examples(setting, "train", 8, seed=4), examples(setting, "test", 8, seed=3)):
        assert not first.inputs.equal(other.inputs)
    assert not examples(setting, "held", 8, seed=3).inputs.equal(examples(setting, "test", 8, seed=3).inputs)


RECALL = [s for s in ALL_SETTINGS if s.task in ("Context Recall", "Noisy Recall")]


@pytest.mark.parametrize("setting", RECALL, ids=lambda s: f"{s.task}-{s.id}")
def test_recall_targets_follow_from_the_sequence(setting: Setting) -> None:
    content = setting.vocabulary - (16 if setting.task == "Noisy Recall" else 0)
    for inputs, targets in rows(examples(setting, "train", 20, seed=0)):
        assert targets[:-1] == inputs[1:]
    for inputs, targets in rows(examples(setting, "test", 20, seed=0)):
        sequence = [*inputs, targets[-1]]
        assert targets == expected_targets(fed_length(setting), recall_scored(setting, sequence))
        value_of: dict[int, int] = {}
        for key, value in zip(sequence[::2], sequence[1::2], strict=True):
            if key < content:
                assert key < content // 2 <= value < content
                assert value_of.setdefault(key, value) == value
            else:
                assert value >= content
        assert sequence[-2] in sequence[:-2:2]


@pytest.mark.parametrize("setting", [*RECALL[:2], *[s for s in RECALL if s.task == "Noisy Recall" and s.length == 128]])
@pytest.mark.slow
def test_recall_has_the_distribution_of_the_literal_generator(setting: Setting) -> None:
    rng = random.Random(0)
    literal = [recall(setting, rng) for _ in range(1_000)]
    drawn = [[*inputs, targets[-1]] for inputs, targets in rows(examples(setting, "test", 1_000, seed=0))]
    for place in (0, 1, 62, 63, -2, -1):
        assert_same_histogram([s[place] for s in drawn], [s[place] for s in literal])
    assert_same_mean(*([float(len(recall_scored(setting, s))) for s in which] for which in (drawn, literal)))
    assert_same_mean(*([float(len(set(s))) for s in which] for which in (drawn, literal)))


@pytest.mark.parametrize("rate", [0.2, 0.4, 0.6, 0.8])
def test_noise_rate_and_at_least_one_pair(rate: float) -> None:
    setting = next(s for s in TASKS["Noisy Recall"].published if s.noise == rate and s.vocabulary == 32)
    inputs = examples(setting, "train", 4_000, seed=0).inputs
    noisy = (inputs[:, 0:-1:2] >= 16).float()
    assert noisy.shape[1] == 63
    expected = rate * 62 / 63
    assert abs(float(noisy.mean()) - expected) < 4 * math.sqrt(rate * (1 - rate) / noisy.numel())
    assert (noisy.sum(1) < 63).all()
    assert (inputs[:, -1] < 8).all()


@pytest.mark.parametrize("setting", TASKS["Fuzzy Recall"].published, ids=lambda s: s.id)
@pytest.mark.parametrize("split", ["train", "test"])
def test_fuzzy_targets_follow_from_the_sequence(setting: Setting, split: str) -> None:
    pad = setting.vocabulary - 1
    for inputs, targets in rows(examples(setting, split, 20, seed=0)):
        sequence = [*inputs, targets[-1]]
        if split == "train":
            assert targets[:-1] == inputs[1:]
        else:
            assert targets == expected_targets(setting.length, fuzzy_scored(setting, sequence))
        pads, pairs = fuzzy_pairs(setting, sequence)
        assert pad not in sequence[pads:]
        assert pads <= 10
        value_of: dict[tuple[int, ...], tuple[int, ...]] = {}
        for key, value in pairs:
            assert len(key) in ((1, 2, 3) if split == "train" else (3,))
            assert len(value) in (1, 2, 3)
            assert len(set(key)) == len(key)
            assert len(set(value)) == len(value)
            assert value_of.setdefault(key, value) == value
        assert pairs[-1] in pairs[:-1]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.slow
def test_fuzzy_has_the_distribution_of_the_literal_generator(training: bool) -> None:
    setting = TASKS["Fuzzy Recall"].published[0]
    rng = random.Random(0)
    literal = [fuzzy(setting, training, rng) for _ in range(2_000)]
    drawn = [[*i, t[-1]] for i, t in rows(examples(setting, "train" if training else "test", 2_000, seed=0))]
    parsed = [[fuzzy_pairs(setting, s) for s in which] for which in (drawn, literal)]
    measures: list[Callable[[tuple[int, list[tuple[tuple[int, ...], tuple[int, ...]]]]], int]] = [
        lambda p: p[0],
        lambda p: len(p[1]),
        lambda p: len({key for key, _ in p[1]}),
        lambda p: len(p[1][-1][0]),
        lambda p: len(p[1][-1][1]),
        lambda p: p[1].index(p[1][-1]) // 4,
        lambda p: p[1][0][0][-1],
        lambda p: p[1][0][1][-1],
    ]
    for measure in measures:
        assert_same_histogram(*([measure(p) for p in which] for which in parsed))
    assert_same_mean(*([float(len(fuzzy_scored(setting, s))) for s in which] for which in (drawn, literal)))


def test_fuzzy_draws_every_motif_equally_often() -> None:
    setting = Setting(task="Fuzzy Recall", vocabulary=9, length=32, train_examples=1)
    found: Counter[tuple[int, ...]] = Counter()
    for inputs, targets in rows(examples(setting, "train", 20_000, seed=0)):
        found[fuzzy_pairs(setting, [*inputs, targets[-1]])[1][0][0]] += 1
    for size, ways in ((1, 4), (2, 12), (3, 24)):
        counts = [count for motif, count in found.items() if len(motif) == size]
        assert len(counts) == ways
        share = 1 / 3 / ways
        assert all(abs(count - 20_000 * share) < 4.5 * math.sqrt(20_000 * share) for count in counts)


@pytest.mark.parametrize("setting", TASKS["Memorize"].published, ids=lambda s: s.id)
def test_memorize_keeps_one_map_across_training_and_test(setting: Setting) -> None:
    insert, half = setting.vocabulary - 1, (setting.vocabulary - 1) // 2
    value_of: dict[int, int] = {}
    for split in ("train", "held", "test"):
        for inputs, targets in rows(examples(setting, split, 64, seed=0)):
            assert inputs[1::2] == [insert] * 16
            assert targets[0::2] == [IGNORED] * 16
            for key, value in zip(inputs[0::2], targets[1::2], strict=True):
                assert 0 <= key < half <= value < insert
                assert value_of.setdefault(key, value) == value


def test_memorize_shows_the_share_of_keys_that_was_measured() -> None:
    shares = [
        examples(setting, "train", 256, seed=0).inputs[:, ::2].unique().numel() / ((setting.vocabulary - 1) // 2)
        for setting in TASKS["Memorize"].published
    ]
    assert shares == pytest.approx([1, 1, 1, 0.981, 0.865, 0.632], abs=0.02)


@pytest.mark.parametrize("setting", TASKS["Compress"].published, ids=lambda s: s.id)
@each_split
def test_compress_asks_for_its_inputs(setting: Setting, split: str) -> None:
    drawn = examples(setting, split, 2_000, seed=0)
    assert drawn.targets.equal(drawn.inputs)
    assert (drawn.inputs[:, -1] == setting.vocabulary - 1).all()
    body = drawn.inputs[:, :-1]
    assert body.max() == setting.vocabulary - 2
    share = body.flatten().bincount() / body.numel()
    expected = 1 / (setting.vocabulary - 1)
    assert (share - expected).abs().max() < 5 * math.sqrt(expected / body.numel())


@pytest.mark.parametrize("setting", TASKS["Selective Copy"].published, ids=lambda s: s.id)
@each_split
def test_selective_copy_asks_for_the_tokens_in_order(setting: Setting, split: str) -> None:
    copy_token, blank, copies = setting.vocabulary - 1, setting.vocabulary - 2, setting.copies
    for inputs, targets in rows(examples(setting, split, 20, seed=0)):
        body, copy, tail = inputs[: -copies - 1], inputs[-copies - 1], inputs[-copies:]
        content = [token for token in body if token < blank]
        assert len(content) == copies
        assert copy == copy_token
        assert tail == [blank] * copies
        assert body[-1] != blank
        assert set(body) <= {*range(blank), blank}
        assert targets == [IGNORED] * (setting.length - copies) + content


@pytest.mark.slow
def test_selective_copy_has_the_distribution_of_the_literal_generator() -> None:
    setting = TASKS["Selective Copy"].published[0]
    rng = random.Random(0)
    literal = [selective_copy(setting, rng) for _ in range(3_000)]
    drawn = [inputs for inputs, _ in rows(examples(setting, "test", 3_000, seed=0))]

    def position(sequence: list[int], rank: int) -> int:
        return [p for p, token in enumerate(sequence) if token < 14][rank]

    for rank in (0, 1, 7, 14):
        assert_same_histogram([position(s, rank) // 4 for s in drawn], [position(s, rank) // 4 for s in literal])
        assert_same_histogram([s[position(s, rank)] for s in drawn], [s[position(s, rank)] for s in literal])
        spread = [[float((position(s, rank) - 15 * rank - 14) ** 2) for s in which] for which in (drawn, literal)]
        assert_same_mean(*spread)


def test_first_occurrence() -> None:
    codes = torch.tensor([[5, 3, 5, 5, 0], [1, 1, 2, 1, 2]]).numpy()
    assert first_occurrence(codes).tolist() == [[0, 1, 0, 0, 4], [0, 0, 2, 0, 2]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "Memorize", "length": 31},
        {"task": "Compress", "copies": 3},
        {"task": "Context Recall", "noise": 0.2},
        {"task": "Selective Copy", "copies": 40},
        {"task": "Fuzzy Recall", "vocabulary": 6},
        {"task": "Compress", "lenght": 32},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"(?i)length|copies|noise|content|lenght"):
        TASKS[str(wrong.pop("task"))].setting(**({"vocabulary": 16, "length": 64, "train_examples": 1} | wrong))
