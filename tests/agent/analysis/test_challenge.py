"""The distance to the challenge: what counts, what does not, and in which order it puts the known rows."""

import pytest

from agent.analysis.boards.board import PUBLISHED_NAME, Board, open_board
from agent.analysis.boards.challenge import BEYOND, Challenge, distances, means_of, nearest_first
from variants.contract import BASELINE, REFERENCE, short_name
from variants.seeds import seeds

CHALLENGE = Challenge(goals={"Memorize": 0.6, "Compress": 0.9}, noise={"Memorize": 0.1, "Compress": 0.05})


@pytest.mark.parametrize(
    ("memorize", "compress", "distance"),
    [(0.6, 0.9, 0), (0.5, 0.9, 1), (0.5, 0.8, 3), (1.0, 0.8, 2), (0.9, 0.95, 0)],
)
def test_the_distance_is_what_is_lacking_in_units_of_noise(memorize: float, compress: float, distance: float):
    assert CHALLENGE.distance({"Memorize": memorize, "Compress": compress}) == pytest.approx(distance)


def test_what_was_not_measured_has_no_distance():
    assert CHALLENGE.distance({"Memorize": 0.7}) is None
    assert CHALLENGE.lacking({"Memorize": 0.5}) == pytest.approx({"Memorize": 1})


def test_beyond_a_goal_a_gain_is_worth_a_little():
    at, above, below = ({"Memorize": 0.6 + gain, "Compress": 0.9} for gain in (0, 0.1, -0.1))
    assert CHALLENGE.worth(above) - CHALLENGE.worth(at) == pytest.approx(BEYOND)
    assert CHALLENGE.worth(at) - CHALLENGE.worth(below) == pytest.approx(1)


@pytest.mark.parametrize(
    "theirs",
    [{"Memorize": 0.5, "Compress": 0.85}, {"Memorize": 0.9, "Compress": 0.9}, {"Memorize": 0.7, "Compress": 1}],
)
def test_the_weights_turn_worth_into_a_mean(theirs: dict[str, float]):
    ours = {"Memorize": 0.55, "Compress": 0.95}
    weights = CHALLENGE.weights(ours, theirs)
    assert sum(weights.values()) == pytest.approx(1)
    gain = sum(weight * (ours[task] - theirs[task]) for task, weight in weights.items())
    more = {task: weight * (ours[task] - theirs[task]) / gain for task, weight in weights.items()}
    whole = CHALLENGE.worth(ours) - CHALLENGE.worth(theirs)
    for task, share in more.items():  # the share of each task in the gain is its share in the worth
        moved = CHALLENGE.worth({**theirs, task: ours[task]}) - CHALLENGE.worth(theirs)
        assert moved == pytest.approx(share * whole)


@pytest.fixture(params=["quick", PUBLISHED_NAME])
def board(request: pytest.FixtureRequest) -> Board:
    return open_board(request.param, None)


def test_a_copy_of_the_reference_lacks_the_noise_where_there_is_room(board: Board):
    challenge = Challenge.of(board)
    assert challenge is not None
    reference = means_of(board.scores[REFERENCE])
    lacking = challenge.lacking(reference)
    for task, mean in reference.items():
        room, noise = 1 - mean, challenge.noise[task]
        assert lacking[task] == pytest.approx(0 if room < noise / 2 else min(room, noise) / noise)
        assert challenge.goals[task] <= 1
    assert lacking["Context Recall"] == 0, "at the ceiling a tie is enough"


def test_the_known_rows_are_in_a_sensible_order(board: Board):
    order = [short_name(name) for name in nearest_first(board, board.whole)]
    assert order[-2:] == ["adam_state_update", "rmsprop_state_update"]
    found = {short_name(name) for name, seed in seeds().items() if seed.origin == "found"} & set(order)
    assert set(order[: len(found)]) == found, "under `quick`; the published board has none"
    assert "cosine_softmax_attention_error_gated_update" in order[len(found) : len(found) + 3]
    assert order.index("add_local_softmax_self_attention") < order.index(REFERENCE) < order.index(BASELINE)


def test_without_the_reference_the_mean_decides(board: Board):
    scores = {name: own for name, own in board.scores.items() if name != REFERENCE}
    alone = Board(board.title, board.protocol, scores, board.spreads)
    assert Challenge.of(alone) is None
    means = [alone.mean_of_all(name) or 0.0 for name in nearest_first(alone, alone.whole)]
    assert means == sorted(means, reverse=True)


def test_the_distances_of_many_are_those_of_each(board: Board):
    """One row lacks a task, and one is on no board."""
    poor = next(name for name in board.whole if name not in (BASELINE, REFERENCE))
    scores = {name: dict(own) for name, own in board.scores.items()}
    del scores[poor]["Compress"]
    found = Board(board.title, board.protocol, scores, board.spreads)
    challenge, asked = Challenge.of(found), ["unknown", poor, *found.whole]
    assert challenge is not None
    far = distances(found, asked)
    assert (far["unknown"], far[poor]) == (None, None)
    for name in found.whole:
        assert far[name] == pytest.approx(challenge.distance(means_of(scores[name])), abs=1e-12)
    assert list(far)[-2:] == ["unknown", poor], "those without a distance keep their order"
    order = [(far[name], -(found.mean_of_all(name) or 0)) for name in list(far)[:-2]]
    assert order == sorted(order)


def test_the_arrays_of_a_board_are_its_scores(board: Board):
    told = Board(board.title, board.protocol, board.scores, board.spreads)
    assert told.whole == board.whole
    assert told.means == pytest.approx(board.means, nan_ok=True, abs=1e-12)
    assert told.counts == pytest.approx(board.counts, nan_ok=True)
    assert board.means[board.rows[REFERENCE]].tolist() == pytest.approx(
        list(means_of(board.scores[REFERENCE]).values())
    )
