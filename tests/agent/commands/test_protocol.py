"""`archer protocol`: what it lists, and that its estimate is near what trials cost."""

import json
import math

import pytest

from agent.cli import run
from agent.errors import DONE, USAGE
from agent.terminal.durations import duration
from archive.seeding import shipped_trials
from evaluator.protocols.built_in import MAD, PROTOCOLS, QUICK
from evaluator.trials.cost import estimate
from variants.contract import BASELINE


@pytest.mark.slow
def test_the_estimate_for_quick_is_within_a_factor_of_three_of_the_shipped_trials():
    measured = sum(t.cpu_seconds for t in shipped_trials("quick") if t.variant == BASELINE)
    least = math.inf
    for _ in range(10):  # what others do on the machine only makes it longer
        costs = estimate(QUICK)
        assert {cost.task for cost in costs} == set(QUICK.tasks)
        least = min(least, sum(cost.trials * cost.seconds for cost in costs))
        if least < 3 * measured:
            break
    assert measured / 3 < least < 3 * measured


def test_all_settings_of_a_protocol_are_shown(capfd: pytest.CaptureFixture[str]):
    assert run(["protocol", "show", "mad", "--no-cost", "--json"]) == DONE
    shown = json.loads(capfd.readouterr().out)
    assert shown["hash"] == MAD.hash
    assert shown["trials"] == 396
    assert [s["id"] for s in shown["settings"]] == [s.id for plan in MAD.tasks.values() for s in plan.settings]
    assert {s["steps"] for s in shown["settings"] if s["task"] == "Memorize"} == {400}
    assert shown["cpu_seconds_a_variant"] is None


def test_the_heading_says_when_runs_end_and_in_which_precision(capfd: pytest.CaptureFixture[str]):
    assert run(["protocol", "show", "mad", "--no-cost"]) == DONE
    shown = " ".join(capfd.readouterr().out.split())
    assert "best of epochs on 1280 held-out examples (a run ends at accuracy 0.999 there)" in shown
    assert "bfloat16 on CUDA" in shown
    assert run(["protocol", "show", "quick", "--no-cost"]) == DONE
    shown = " ".join(capfd.readouterr().out.split())
    assert "held-out" not in shown
    assert "cosine rate, float32, seeds" in shown


def test_what_is_tested_at_another_length_is_shown(capfd: pytest.CaptureFixture[str]):
    assert run(["protocol", "show", "extra", "--no-cost"]) == DONE
    (line,) = (" ".join(line.split()) for line in capfd.readouterr().out.splitlines() if "Long Copy" in line)
    assert line == "Long Copy v17-l48-n12800-copy24 48, test 96 16 240 16 0.01 0.1"
    assert run(["protocol", "show", "quick", "--no-cost"]) == DONE
    assert "test " not in capfd.readouterr().out


def test_protocols_are_listed(capfd: pytest.CaptureFixture[str]):
    assert run(["protocol", "list"]) == DONE
    out = capfd.readouterr().out
    assert all(protocol.hash in out for protocol in PROTOCOLS.values())


def test_an_unknown_protocol_is_a_wrong_usage(capfd: pytest.CaptureFixture[str]):
    assert run(["protocol", "show", "nosuch"]) == USAGE
    assert "choose one of smoke, quick, standard, mad" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.5 s"), (12, "12 s"), (89, "89 s"), (200, "3.3 min"), (47_000, "13 h"), (1e7, "116 days")],
)
def test_durations_keep_two_digits(seconds: float, words: str):
    assert duration(seconds) == words
