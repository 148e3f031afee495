"""The ladder: who is taken up, with whom, what is trained there, and that it is done once."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from agent.analysis.boards.board import open_board
from agent.cli import run
from agent.search.attempt import SearchResources
from agent.search.climb import Climb
from agent.search.engine import Engine
from agent.search.loop import Search, SearchPlan
from agent.search.pipeline import Pipeline
from agent.terminal.discoveries import climb_line
from agent.terminal.progress import Progress
from archive import seeding
from archive.confirmations import Confirmation, Difference
from archive.store import Archive
from archive.verify import problems
from evaluator.outcomes import CurvePoint, Status, Trial
from evaluator.protocols.built_in import QUICK, STANDARD
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.trials.evaluate import Evaluation, Evaluator
from tests.builders import make_proposal, make_record, make_trial
from variants.contract import BASELINE, REFERENCE, Variant
from variants.seeds import seed_variants

NAME, OTHER = "delta_net_4layer_first_in_for_loop", "delta_net_4layer_second_in_for_loop"
SEEDS = seed_variants()
LADDER = (QUICK, STANDARD)


def trials(variant: Variant, protocol: Protocol, accuracy: float) -> tuple[Trial, ...]:
    return tuple(trial(variant, spec, protocol, accuracy) for spec in trial_specs(protocol))


def noisy_trials(variant: Variant, accuracy: float) -> tuple[Trial, ...]:
    """Under `standard`, with the noise of a seed."""
    noise = np.random.default_rng(len(variant.name))
    told = trials(variant, STANDARD, accuracy)
    return tuple(each.model_copy(update={"accuracy": accuracy + noise.normal(0, 0.01)}) for each in told)


def trial(variant: Variant, spec: TrialSpec, protocol: Protocol, accuracy: float) -> Trial:
    curve = (CurvePoint(step=1, loss=1.0),)
    return make_trial(variant, protocol=protocol, accuracy=accuracy, curve=curve, **spec.model_dump())


@dataclass(frozen=True)
class ScriptedEvaluator(Evaluator):
    """Gives an accuracy by variant instead of training, and obeys whoever stops it early."""

    accuracies: Mapping[str, float] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def evaluate(
        self,
        variant: Variant,
        specs: Sequence[TrialSpec],
        *,
        inherited: Mapping[TrialSpec, Trial] | None = None,
        reason_to_prune: Callable[[Sequence[Trial]], str] = lambda _: "",
        order: Sequence[TrialSpec] = (),
        **_: object,
    ) -> Evaluation:
        found = dict(inherited or {})
        for spec in order or specs:
            if spec not in found:
                self.ran.append(variant.name)
                found[spec] = trial(variant, spec, self.protocol, self.accuracies[variant.name])
            if reason := reason_to_prune(tuple(found.values())):
                return Evaluation(Status.PRUNED, reason, tuple(found.values()))
        return Evaluation(Status.SCORED, "", tuple(found.values()))


def scripted(accuracies: Mapping[str, float]) -> ScriptedEvaluator:
    unused = cast(Any, None)
    return ScriptedEvaluator(STANDARD, unused, unused, accuracies=accuracies)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """Two proposals under `quick`, neither of them confirmed; nothing under `standard`."""
    monkeypatch.setattr(seeding, "SHIPPED", [name for name in seeding.SHIPPED if name != STANDARD.name])
    return with_two_proposals(tmp_path)


def with_two_proposals(folder: Path) -> Archive:
    archive = seeding.make_archive(folder / "search")
    for name, accuracy in ((NAME, 0.95), (OTHER, 0.99)):
        variant = Variant(name=name, source=f"{SEEDS[BASELINE].source}\n# {name}\n")
        told = trials(variant, QUICK, accuracy)
        archive.tell(
            make_record(proposal=make_proposal(variant, predictions={}), protocol=QUICK, trials=told), "report"
        )
    return archive


def decide(archive: Archive, name: str, against: str, outcome: str = "confirmed", fresh: Sequence[Trial] = ()) -> None:
    lead = Difference(mean=0.05, low=0.02, high=0.08, n=3)
    archive.tell_confirmation(
        Confirmation.model_validate(
            {
                "variant": name,
                "against": against,
                "protocol": QUICK.name,
                "protocol_hash": QUICK.hash,
                "outcome": outcome,
                "first": lead,
                "fresh": lead,
                "created": "2026-11-29T00:00:00+00:00",
            }
        ),
        fresh,
    )


def climb(archive: Archive, accuracies: Mapping[str, float]) -> tuple[Status, list[str]]:
    (found,) = Climb.all_of(archive, LADDER)
    evaluator = scripted(accuracies)
    result = found.run(Pipeline(evaluator))
    for name in dict.fromkeys(each.variant for each in result.trials):
        archive.tell_trials([each for each in result.trials if each.variant == name])
    return result.status, evaluator.ran


def test_only_the_confirmed_climb_the_nearest_first(archive: Archive):
    assert Climb.all_of(archive, LADDER) == []
    decide(archive, NAME, BASELINE)
    decide(archive, OTHER, NAME)
    assert [(each.variant.name, each.rival.name) for each in Climb.all_of(archive, LADDER)] == [
        (OTHER, NAME),
        (NAME, BASELINE),
    ]
    (archive.root / "confirmations" / QUICK.name / f"{OTHER}.json").unlink()
    decide(archive, OTHER, NAME, "refuted")
    assert [each.variant.name for each in Climb.all_of(archive, LADDER)] == [NAME]
    assert Climb.all_of(archive, LADDER[:1]) == [], "a ladder of one rung leads nowhere"


def test_both_are_trained_above_and_once(archive: Archive):
    decide(archive, NAME, BASELINE)
    status, ran = climb(archive, {NAME: 0.8, BASELINE: 0.7})
    every = len(trial_specs(STANDARD))
    assert (status, ran) == (Status.SCORED, [BASELINE] * every + [NAME] * every)
    assert Climb.all_of(archive, LADDER) == []
    assert list(problems(archive)) == []


def test_what_is_there_is_not_trained_again(archive: Archive):
    archive.tell_trials(trials(SEEDS[BASELINE], STANDARD, 0.7))
    decide(archive, NAME, BASELINE)
    assert set(climb(archive, {NAME: 0.8})[1]) == {NAME}


def test_a_rival_whose_trials_ship_is_not_trained(tmp_path: Path):
    archive = with_two_proposals(tmp_path)
    decide(archive, NAME, BASELINE)
    assert climb(archive, {NAME: 0.8}) == (Status.SCORED, [NAME] * len(trial_specs(STANDARD)))


def test_a_rival_that_was_never_trained_above_is(archive: Archive):
    archive.tell_trials(trials(archive.variants()[NAME], STANDARD, 0.8))
    decide(archive, NAME, BASELINE)
    status, ran = climb(archive, {NAME: 0.8, BASELINE: 0.7})
    assert (status, ran) == (Status.SCORED, [BASELINE] * len(trial_specs(STANDARD)))
    assert Climb.all_of(archive, LADDER) == []


def test_no_chance_above_stops_the_climb_and_says_so(archive: Archive):
    for number, name in enumerate(dict.fromkeys([BASELINE, REFERENCE, *list(SEEDS)[:14]])):
        archive.tell_trials(noisy_trials(SEEDS[name], 0.6 + 0.01 * number))
    decide(archive, NAME, BASELINE)
    status, ran = climb(archive, {NAME: 0.1})
    assert status is Status.PRUNED
    assert 0 < len(ran) < len(trial_specs(STANDARD))


def test_an_ended_climb_leads_to_the_next_rung_if_it_is_ahead_there(archive: Archive):
    third = STANDARD.model_copy(update={"name": "mad"})
    decide(archive, NAME, BASELINE)
    archive.tell_trials(trials(SEEDS[REFERENCE], STANDARD, 0.7))
    climb(archive, {NAME: 0.8, BASELINE: 0.7})
    (found,) = Climb.all_of(archive, (*LADDER, third))
    assert (found.variant.name, found.protocol.name) == (NAME, "mad")


def test_a_climb_behind_its_rival_leads_no_further(archive: Archive):
    decide(archive, NAME, BASELINE)
    archive.tell_trials(trials(SEEDS[REFERENCE], STANDARD, 0.7))
    climb(archive, {NAME: 0.6, BASELINE: 0.7})
    assert Climb.all_of(archive, (*LADDER, STANDARD.model_copy(update={"name": "mad"}))) == []


def test_a_search_takes_a_confirmed_proposal_up_and_says_how_it_fared(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
):
    decide(archive, NAME, BASELINE)
    out = io.StringIO()
    made = scripted({NAME: 0.8, BASELINE: 0.7})
    monkeypatch.setattr(SearchResources, "evaluator", lambda self: replace(made, protocol=self.protocol))
    unused = cast(Any, None)
    with ThreadPoolExecutor(1) as executor, Progress(Console(file=out, width=300), 0) as progress:
        resources = SearchResources(unused, unused, QUICK, Engine(executor))
        plan = SearchPlan(n=0, jobs=1, seed=0, confirm=False, rungs=(STANDARD,))
        assert list(Search(archive, resources, plan, progress).run()) == []
    assert "up to standard: first, with delta_net_4layer; 36 trials to train" in out.getvalue()
    assert "ahead there too: first against delta_net_4layer under standard, mean 0.800 against 0.700" in out.getvalue()
    assert Climb.all_of(archive, LADDER) == []


def test_show_says_how_far_up_a_proposal_has_come(archive: Archive, capsys: pytest.CaptureFixture[str]):
    assert run(["show", NAME, "--archive", str(archive.root), "--json"]) == 0
    assert [rung["protocol"] for rung in json.loads(capsys.readouterr().out)["rungs"]] == ["quick"]
    archive.tell_trials(trials(archive.variants()[NAME], STANDARD, 0.8))
    archive.tell_trials(trials(SEEDS[BASELINE], STANDARD, 0.7))
    assert run(["show", NAME, "--archive", str(archive.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rungs"][-1] == {
        "protocol": "standard",
        "mean": pytest.approx(0.8),
        "others": {BASELINE: pytest.approx(0.7)},
    }
    assert run(["show", NAME, "--archive", str(archive.root)]) == 0
    assert "mean under standard: 0.800; delta_net_4layer 0.700" in capsys.readouterr().out


def test_show_leaves_out_fresh_seeds_of_another_version(archive: Archive, capsys: pytest.CaptureFixture[str]):
    own = trials(archive.variants()[NAME], QUICK, 0.75)
    older = [trial.model_copy(update={"protocol_hash": "0" * 16, "accuracy": 0.1}) for trial in own]
    decide(archive, NAME, BASELINE, fresh=[*own, *older])
    assert run(["show", NAME, "--archive", str(archive.root)]) == 0
    assert "fresh 0.750" in capsys.readouterr().out


def test_what_stopped_short_is_said(archive: Archive):
    board = open_board("standard", archive)
    line = climb_line(NAME, BASELINE, Status.INTERRUPTED, f"{NAME}: stopped", board)
    assert "not yet compared; the next search goes on" in line


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--ladder", "quick"], "name two protocols or more"),
        (["--ladder", "standard,quick"], "from the smaller to the larger"),
        (["--ladder", "quick,extra"], "no search is judged by extra"),
        (["--protocol", "smoke", "--ladder", "quick,standard"], "--protocol says smoke: leave one out"),
        (["--protocol", "quick", "--ladder", "standard,mad"], "--protocol says quick: leave one out"),
    ],
)
def test_a_ladder_that_does_not_rise_is_an_error(options: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert run(["propose", *options]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
