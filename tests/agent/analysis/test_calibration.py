"""Predictions beside results: the interval score, signs where noise and structure let them be seen, the ledger."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from agent.analysis.boards.board import Board, open_board
from agent.analysis.differences.paired_differences import open_paired_differences
from agent.analysis.predictions.calibration import Forecast, Interval, by_proposer, forecasts, over_time, summarise
from agent.analysis.predictions.published_predictions import (
    Expectation,
    published_forecasts,
    read_published_predictions,
)
from agent.analysis.replicates import SeedDeviation
from agent.cli import run
from agent.errors import DONE, USAGE
from archive.records.record import Prediction, Record
from archive.seeding import make_archive
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import (
    make_comparison,
    make_provenance,
    make_record,
    make_score,
    make_scorecard,
    make_verdict,
)
from variants.contract import BASELINE

PLAIN = Forecast(
    proposer="evolve", model=None, variant="a", protocol="quick", task="Memorize", direction="up", mean=0.5,
    interval=Interval(0.4, 0.6), measured=0.55, parent=0.45, outcome="better", no_change=Interval(0.4, 0.5),
)  # fmt: skip
BOARD = Board("quick", "quick", {}, {task: SeedDeviation(0.02, 40) for task in MAD_TASKS})


def record(number: int, predictions: dict[str, Prediction], measured: float) -> Record:
    """The number's proposal `v1`, `v2`, ...: better than its parent on the tasks that it predicted."""
    verdict = make_verdict(dict.fromkeys(predictions, make_comparison("better", 0.1)))
    scores = make_scorecard(dict.fromkeys(predictions, make_score(measured)))
    provenance = make_provenance("openai", model="m" if number < 3 else "n")
    return make_record(
        name=f"v{number}", number=number, predictions=predictions, provenance=provenance, trials=(), scorecard=scores,
        verdicts=(verdict,),
    )  # fmt: skip


def test_interval_score_of_hits_and_misses() -> None:
    assert Interval(0.4, 0.6).score(0.5) == pytest.approx(0.2)
    assert Interval(0.4, 0.6).score(0.3) == pytest.approx(0.2 + 10 * 0.1)
    assert Interval(0.4, 0.6).score(0.7) == pytest.approx(0.2 + 10 * 0.1)
    assert Interval(0.4, 0.6).holds(0.60005)
    assert not Interval(0.4, 0.6).holds(0.6002)


def test_interval_score_is_best_for_the_honest_quantiles() -> None:
    drawn = np.random.default_rng(1).normal(0.5, 0.1, 4000)
    honest = float(stats.norm.ppf(0.9)) * 0.1

    def expected(half: float) -> float:
        return float(np.mean([Interval(0.5 - half, 0.5 + half).score(float(x)) for x in drawn]))

    assert expected(honest) < min(expected(0.5 * honest), expected(0.8 * honest), expected(1.3 * honest))


@pytest.mark.parametrize(
    ("direction", "outcome", "sign"),
    [
        ("up", "better", "right"), ("up", "worse", "wrong"), ("down", "worse", "right"), ("down", "better", "wrong"),
        ("up", "indistinguishable", "open"), ("up", "inert", "ruled out"), ("unchanged", "inert", "right"),
        ("unchanged", "worse", "wrong"), ("unchanged", "better", "wrong"), ("not down", "better", "right"),
        ("not down", "indistinguishable", "right"), ("not down", "worse", "wrong"), (None, "better", None),
    ],
)  # fmt: skip
def test_sign(direction: Any, outcome: Any, sign: str | None) -> None:
    assert replace(PLAIN, direction=direction, outcome=outcome).sign == sign


def test_summary_leaves_out_what_is_exact_by_structure() -> None:
    exact = replace(PLAIN, interval=Interval(0.55, 0.55), direction="unchanged", outcome="inert")
    missed = replace(PLAIN, measured=0.7, mean=0.4, outcome="worse")
    found = summarise([PLAIN, exact, missed])
    assert (found.n, found.exact, found.intervals, found.inside) == (3, 1, 2, 1)
    assert found.coverage == 0.5
    assert found.error == pytest.approx((0.05 + 0.3) / 2)
    assert found.error_of_no_change == pytest.approx((0.1 + 0.25) / 2)
    assert found.score == pytest.approx((0.2 + 0.2 + 10 * 0.1) / 2)
    assert found.skill == pytest.approx(1 - 0.7 / ((0.1 + 0.5 + 0.1 + 2.0) / 2))
    assert found.signs == {"right": 1, "wrong": 1}
    assert summarise([]).coverage is None
    assert summarise([]).skill is None


def test_forecasts_of_records_per_proposer_and_over_time() -> None:
    wide, narrow = Prediction(mean=0.5, low=0.4, high=0.6), Prediction(mean=0.5, low=0.49, high=0.51)
    records = [record(2, {"Compress": narrow}, 0.55), record(1, {"Compress": wide, "Memorize": wide}, 0.55)]
    found = forecasts([*records, record(3, {"Compress": wide}, 0.55)], lambda _: BOARD)
    assert [forecast.variant for forecast in found] == ["v1", "v1", "v2", "v3"]
    assert found[0].parent == pytest.approx(0.45)
    assert found[0].direction == "up"
    assert found[0].no_change is not None
    assert found[0].no_change.low < 0.45 < found[0].no_change.high
    groups = by_proposer(found)
    assert set(groups) == {("openai", "m"), ("openai", "n")}
    course = over_time(groups["openai", "m"])
    assert [(name, summary.coverage) for name, summary in course] == [("v1", 1.0), ("v2", pytest.approx(2 / 3))]


def test_the_ledger_is_complete_and_scored_by_the_published_table() -> None:
    ledger = read_published_predictions()
    assert [report.report for report in ledger.reports] == list(range(5))
    board = open_board("published", None)
    assert all(report.scored == (report.variant in board.scores) for report in ledger.reports)
    found = {
        (f.variant.split("layer_")[1], f.task): f
        for f in published_forecasts(open_paired_differences("published", None), ledger)
    }
    fuzzy = found["layernorm_state_update_in_for_loop", "Fuzzy Recall"]
    assert fuzzy.interval is not None
    assert (fuzzy.interval.low, fuzzy.interval.high) == pytest.approx((0.296574, 0.336574))
    assert fuzzy.measured == 0.16624
    copying = found["rmsprop_state_update_in_for_loop", "Selective Copy"]
    assert (copying.interval, copying.sign, copying.mean) == (Interval(0.997, 1.0), "wrong", None)
    assert found["normalize_keys_in_for_loop", "Memorize"].sign == "ruled out"
    assert summarise(found.values()).signs["ruled out"] == 4


def test_a_number_of_the_published_protocol_is_not_scored_under_another() -> None:
    found = published_forecasts(open_paired_differences("quick", None), read_published_predictions())
    assert found
    assert all(forecast.interval is None for forecast in found)


@pytest.mark.parametrize("fields", [{"high": 0.2}, {"low": 0.3, "high": 0.2}, {"relative_to": BASELINE}, {"extra": 1}])
def test_an_entry_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Expectation.model_validate({"task": "Memorize", "change": "up", "note": "x", **fields})


@pytest.mark.slow
def test_calibration_at_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "figure.svg"
    command = ["calibration", "--archive", str(tmp_path / "none")]
    assert run([*command, "--plot", str(figure)]) == DONE
    assert "published reports, against the published scores" in capsys.readouterr().out
    assert figure.read_text().startswith("<?xml")
    assert run([*command, "--json"]) == DONE
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert entries[0]["summary"]["n"] == len(entries[0]["forecasts"]) == 17
    assert run([*command, "--plot", str(tmp_path / "figure.txt")]) == USAGE
    assert ".svg" in capsys.readouterr().err
    make_archive(tmp_path / "archive")
    assert run(["calibration", "--archive", str(tmp_path / "archive"), "--json"]) == DONE
    assert len(json.loads(capsys.readouterr().out)["entries"]) == 2, "an archive without proposals adds nothing"
