"""Pareto dominance on means and beyond noise, and the distance to the reference."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent.board import Board, open_board
from agent.cli import run
from agent.errors import DONE, USAGE
from agent.front import nearest, places
from agent.replicates import Spread
from evaluator.outcomes import Score
from variants.contract import BASELINE, REFERENCE, TASKS

NOISE = 0.01


def board(rows: dict[str, list[float]], groups: tuple[tuple[str, ...], ...] = ()) -> Board:
    scores = {
        name: {task: Score(mean=x, low=x, high=x, n=1) for task, x in zip(TASKS, row, strict=True)}
        for name, row in rows.items()
    }
    return Board("made up", "mad", scores, {task: Spread(NOISE, 1000) for task in TASKS}, dict.fromkeys(TASKS, groups))


def test_dominated_on_the_means_is_not_yet_surely_dominated() -> None:
    made = board({"a": [0.5] * 6, "b": [0.49] * 6, "c": [0.4] * 6, "d": [0.9] + [0.1] * 5})
    found = {place.name: place for place in places(made)}
    assert {name: place.standing for name, place in found.items()} == {
        "a": "front", "b": "dominated", "c": "surely dominated", "d": "surely front",
    }  # fmt: skip
    assert found["c"].dominated_by == ("a", "b")
    assert nearest(tuple(found.values())) is None


def test_where_two_rows_are_one_function_a_difference_says_nothing() -> None:
    rows = {"a": [0.5] * 6, "b": [0.4] * 3 + [0.6] + [0.4] * 2}
    assert {place.standing for place in places(board(rows))} == {"surely front"}
    one = places(board(rows, (("a", "b"),)))
    assert not any(place.surely_dominated_by for place in one), "rows that are one function everywhere dominate nobody"
    free = board(rows)
    by_name = {place.name: place for place in places(replace(free, one={TASKS[3]: (("a", "b"),)}))}
    assert by_name["b"].dominated_by == ()
    assert by_name["b"].standing == "surely dominated", "its lead where the two are one function is chance"


def test_distance_to_the_reference() -> None:
    found = places(board({REFERENCE: [0.5] * 6, "near": [0.6] * 5 + [0.495], "far": [0.6] * 5 + [0.3]}))
    best = nearest(found)
    assert best is not None
    assert best.name == "near"
    assert len(best.above) == 5
    assert list(best.missing) == ["Selective Copy"]
    assert best.shortfall == pytest.approx(0.005)
    assert not best.missing["Selective Copy"].beyond_noise
    assert found[1].missing["Selective Copy"].beyond_noise


def test_the_published_front() -> None:
    found = {place.name: place for place in places(open_board("published", None))}
    assert len(found) == 22
    assert found["delta_net_4layer_adam_state_update_in_for_loop"].standing == "surely dominated"
    assert found[BASELINE].gaps["Compress"].difference == pytest.approx(0.441687 - 0.366612)
    assert next(iter(found)) == "delta_net_4layer_hybrid_softmax_raw_attention_in_for_loop"


@pytest.mark.parametrize("protocol", ["published", "quick"])
def test_front_at_the_command_line(protocol: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["leaderboard", "--front", "--protocol", protocol, "--archive", str(tmp_path / "none")]
    assert run(command) == DONE
    assert "Nearest to beating" in capsys.readouterr().out
    assert run([*command, "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["nearest"] == document["rows"][0]["name"]
    assert set(document["front"]) == {row["name"] for row in document["rows"] if "front" in row["standing"]}


def test_front_of_nothing_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["leaderboard", "--front", "--protocol", "mad", "--archive", str(tmp_path / "none")]) == USAGE
    assert "score some with `archer propose`" in capsys.readouterr().err
