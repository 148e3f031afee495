"""Comparing proposers: curves and budgets on made-up arms, the random proposer, and one real, tiny comparison."""

import json
import random
from pathlib import Path

import pytest

from agent.analysis.snapshot import take_snapshot
from agent.catalogue import SEED_GENOMES
from agent.cli import run
from agent.comparing.arms import Arm, ProposerBudget
from agent.comparing.best_so_far import curve, differences
from agent.comparing.plot import plot_curves
from agent.errors import DONE, USAGE
from agent.proposers.evolution.random import RandomProposer, drawn
from agent.proposers.evolution.variation import MAX_MECHANISMS
from archive.seeding import make_archive
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.built_in import QUICK
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_record
from variants.contract import BASELINE

ONE = Arm(minutes=(1.0, 2.0, 4.0), scores=((0.5, 0.7), (), (0.8, 0.9)))
OTHER = Arm(minutes=(1.0, 3.0, 5.0), scores=((0.4, 0.4), (0.6, 0.6), (0.5, 0.5)))


def test_best_so_far_never_falls_and_a_proposal_without_a_score_costs():
    found = curve("evolve", [OTHER])
    assert [point.mean for point in found.by_proposal] == pytest.approx([0.4, 0.6, 0.6])
    assert [(point.at, point.mean) for point in found.by_minute] == [(1.0, 0.4), (3.0, 0.6), (5.0, 0.6)]
    assert (curve("x", [ONE]).scored, curve("x", [ONE]).proposals, curve("x", [ONE]).cpu_minutes) == (2, 3, 4.0)


def test_intervals_are_over_repeats_where_there_are_some_else_over_training_seeds():
    alone, both = curve("x", [ONE]), curve("x", [ONE, OTHER])
    assert (alone.interval, both.interval) == ("training seeds", "repeats")
    assert (alone.by_proposal[-1].low, alone.by_proposal[-1].high) == pytest.approx((0.8, 0.9))
    last = both.by_proposal[-1]
    assert last.mean == pytest.approx((0.85 + 0.6) / 2)
    assert last.low is not None
    assert last.high is not None
    assert last.mean - last.low == pytest.approx(12.7062 * 0.125, rel=1e-4)
    single = curve("x", [Arm((1.0,), ((0.5,),))])
    assert single.interval == "none: one repeat, one seed"
    assert single.by_proposal[0].low is None


def test_a_curve_begins_where_every_repeat_has_a_score():
    late = Arm(minutes=(1.0, 2.0), scores=((), (0.3,)))
    assert [point.at for point in curve("x", [ONE, late]).by_proposal] == [2.0, 3.0]


def test_differences_are_paired_by_repeat():
    (row,) = differences({"evolve": [ONE, ONE], "random": [OTHER, OTHER]})
    assert (row["proposer"], row["against"], row["n"]) == ("evolve", "random", 2)
    assert row["difference"] == pytest.approx(0.25)


def test_a_budget_is_of_the_protocol_that_is_compared_under(archive: Archive):
    archive.tell(make_record(name="one"), "r")
    archive.tell(make_record(name="two", protocol_hash="0" * 16), "r")
    archive.tell(make_record(Status.INTERRUPTED, name="three"), "r")
    budget = ProposerBudget(2, None)
    assert budget.spent(archive, QUICK)[0] == len(Arm.of(archive, QUICK, budget).scores) == 1


def test_plot_is_a_figure(tmp_path: Path):
    plot_curves([curve("evolve", [ONE]), curve("random", [OTHER])], "quick", tmp_path / "duel.svg")
    assert "<svg" in (tmp_path / "duel.svg").read_text()


def test_random_draws_every_number_of_mechanisms_and_no_seed_or_known_one(tmp_path: Path):
    chance = random.Random(0)
    assert {len(drawn(chance).mechanisms) for _ in range(100)} == {*range(1, MAX_MECHANISMS + 1)}
    snapshot = take_snapshot(make_archive(tmp_path / "search"), "quick", seed=3)
    first = RandomProposer().ask(snapshot).proposal
    assert first == RandomProposer().ask(snapshot).proposal
    assert (first.parent, first.provenance.proposer) == (BASELINE, "random")
    assert set(first.predictions) == set(MAD_TASKS)
    assert first.provenance.mechanisms not in [genome.to_json() for genome in SEED_GENOMES.values()]


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_smoke", "lent_sandbox")
def test_a_comparison_is_made_resumed_and_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    command = ["compare", "--proposers", "random", "--protocol", "smoke", "--out", str(tmp_path / "duel"), "--json"]
    assert run([*command, "--budget-proposals", "1"]) == DONE
    (first,) = json.loads(capfd.readouterr().out)["curves"]
    assert run([*command, "--budget-proposals", "1"]) == DONE
    (again,) = json.loads(capfd.readouterr().out)["curves"]
    assert first == again
    assert (first["proposals"], first["repeats"]) == (1, 1)
    assert run([*command, "--budget-minutes", "0"]) == DONE
    (nothing,) = json.loads(capfd.readouterr().out)["curves"]
    assert (nothing["proposals"], nothing["by_proposal"]) == (0, [])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--proposers", "evolve,oracle"], "'oracle' is none of evolve, random, openai"),
        (["--gguf", "model.gguf"], "add openai to --proposers"),
        (["--command", "cat", "--max-usd", "1"], "--command, --max-usd: no language model is compared"),
        (["--plot", "duel.txt"], "give a file that ends in .png"),
        (["--plot", "nowhere/duel.svg"], "make it first"),
    ],
)
def test_what_cannot_be_compared_or_drawn_is_refused_before_any_work(
    options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert run(["compare", *options]) == USAGE
    assert says in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
