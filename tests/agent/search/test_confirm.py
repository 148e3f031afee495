"""Confirmation on fresh seeds: what is confirmed, what is not, and that an interrupted one is gone on with."""

import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import numpy as np
import pytest
from rich.console import Console

from agent.cli import run
from agent.errors import DONE
from agent.proposer import Ask
from agent.search.attempt import SearchResources
from agent.search.confirm import FIRST_FRESH, WouldBeBest, fresh_seeds
from agent.search.engine import Engine
from agent.search.loop import Search, SearchPlan
from agent.search.pipeline import Pipeline
from agent.terminal.discoveries import confirmation_lines, task_lines
from agent.terminal.progress import Progress
from archive.confirmations import Confirmation
from archive.records.record import Record
from archive.seeding import make_archive
from archive.store import Archive
from archive.verify import problems
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import PROTOCOLS, QUICK, SMOKE
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.sandbox import Sandbox
from evaluator.statistics.moderated_t_test import Effect, Noise, effect
from evaluator.statistics.scorecards import scorecard
from evaluator.trials.evaluate import Evaluation, Evaluator
from evaluator.trials.run_trial import spec_of
from tests.builders import make_archive_of, make_proposal, make_record, make_tiny_protocol, make_trial
from variants.contract import BASELINE, Variant
from variants.seeds import seed_variants

NAME = "delta_net_4layer_lucky_in_for_loop"
NEAREST = "delta_net_4layer_written_echo_and_successor_halves_own_error_in_for_loop"
SOURCE = seed_variants()[BASELINE].source.replace("S = S + ", "S = 0.97 * S + ")


def trial(variant: Variant, spec: TrialSpec, protocol: Protocol, accuracy: float) -> Trial:
    return make_trial(variant, protocol=protocol, accuracy=accuracy, isolation="split", **spec.model_dump())


@dataclass(frozen=True)
class ScriptedEvaluator(Evaluator):
    """Gives trials around a mean, by variant, instead of training; stops after `limit` trials."""

    means: Mapping[str, float] = field(default_factory=dict)
    limit: int = 10**6
    ran: list[tuple[str, int]] = field(default_factory=list)

    def evaluate(
        self, variant: Variant, specs: Sequence[TrialSpec], *, inherited: Any = None, **_: object
    ) -> Evaluation:
        assert self.isolation == "split"
        known, found = dict(inherited), []
        for spec in specs:
            if spec not in known:
                if len(self.ran) >= self.limit:
                    return Evaluation(Status.INTERRUPTED, "stopped", tuple(found))
                self.ran.append((variant.name, spec.seed))
                noise = np.random.default_rng([spec.seed, len(variant.name), len(spec.task)]).normal(0, 0.01)
                known[spec] = trial(variant, spec, self.protocol, self.means[variant.name] + noise)
            found.append(known[spec])
        return Evaluation(Status.SCORED, "", tuple(found))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """The seeds under `quick`, and one proposal that looks better than all of them."""
    archive = make_archive(tmp_path / "search")
    variant = Variant(name=NAME, source=SOURCE)
    tell(archive, variant, tuple(trial(variant, spec, QUICK, 0.9995) for spec in trial_specs(QUICK)))
    return archive


def tell(archive: Archive, variant: Variant, trials: tuple[Trial, ...], protocol: Protocol = QUICK) -> Record:
    proposal = make_proposal(variant, predictions={})
    created = datetime.now(UTC).isoformat()
    return archive.tell(make_record(proposal=proposal, protocol=protocol, trials=trials, created=created), "report")


def confirm(
    archive: Archive, evaluator: Callable[[WouldBeBest], ScriptedEvaluator]
) -> tuple[Confirmation, list[tuple[str, int]]]:
    (found,) = WouldBeBest.all_of(archive, QUICK)
    assert found is not None
    scripted = evaluator(found)
    confirmation, trials = found.run(Pipeline(scripted))
    archive.tell_confirmation(confirmation, trials)
    return confirmation, scripted.ran


def scripted(gain: float, limit: int = 10**6) -> Callable[[WouldBeBest], ScriptedEvaluator]:
    unused = cast(Any, None)
    return lambda found: ScriptedEvaluator(
        QUICK, unused, unused, means={NAME: 0.7 + gain, found.rival.name: 0.7}, limit=limit
    )


def test_fresh_seeds_are_no_seeds_of_any_protocol():
    for protocol in PROTOCOLS.values():
        assert not {*fresh_seeds(protocol, 2)} & {*protocol.seeds}
        assert len({*fresh_seeds(protocol, 2)}) == 2 * len(protocol.seeds)


def test_the_rival_is_the_best_of_what_was_there(archive: Archive):
    (found,) = WouldBeBest.all_of(archive, QUICK)
    assert found is not None
    assert found.variant.name == NAME
    assert found.rival.name == NEAREST
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.weights["Memorize"] < 0.2 * max(found.weights.values()), "both are beyond the goal of Memorize"
    assert 0 < found.first.mean < 0.3


@pytest.mark.parametrize(
    ("gain", "outcome", "looks"), [(0.2, "confirmed", 1), (-0.1, "refuted", 1), (0.004, "open", 2)]
)
@pytest.mark.slow
def test_fresh_seeds_decide(archive: Archive, gain: float, outcome: str, looks: int):
    confirmation, ran = confirm(archive, scripted(gain))
    assert confirmation.outcome == outcome
    assert confirmation.fresh is not None
    assert confirmation.fresh.n == 3 * looks
    assert {seed for _, seed in ran} == {*range(FIRST_FRESH, FIRST_FRESH + 3 * looks)}
    assert len(ran) == len({*ran}) * 6
    assert not WouldBeBest.all_of(archive, QUICK)
    assert list(problems(archive)) == []


def test_a_confirmed_best_is_what_the_next_one_has_to_beat(archive: Archive):
    confirm(archive, scripted(0.2))
    better = Variant(name="delta_net_4layer_better_in_for_loop", source=SOURCE + "\n")
    tell(archive, better, tuple(trial(better, spec, QUICK, 1.0) for spec in trial_specs(QUICK)))
    (found,) = WouldBeBest.all_of(archive, QUICK)
    assert found is not None
    assert (found.variant.name, found.rival.name) == (better.name, NAME)
    assert len([t for t in found.known if t.variant == NAME]) == 18


def test_an_interrupted_confirmation_is_gone_on_with(archive: Archive):
    confirmation, ran = confirm(archive, scripted(0.2, limit=7))
    assert (confirmation.outcome, len(ran)) == ("unfinished", 7)
    confirmation, ran = confirm(archive, scripted(0.2))
    assert (confirmation.outcome, len(ran)) == ("confirmed", 2 * 18 - 7)


def test_a_second_look_that_was_interrupted_is_no_further_look(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    a_seed = len(QUICK.tasks)
    confirmation, _ = confirm(archive, scripted(0.004, limit=2 * 3 * a_seed + 3 * a_seed + a_seed))
    assert confirmation.outcome == "unfinished", "both on the first three seeds, and the rival on one of the next three"
    (found,) = WouldBeBest.all_of(archive, QUICK)
    looks: list[int] = []

    def look(differences: Sequence[float], noise: Noise | None) -> Effect | None:
        looks.append(len(differences))
        return effect(differences, noise)

    monkeypatch.setattr("agent.search.confirm.effect", look)
    assert found.run(Pipeline(scripted(0.004)(found)))[0].outcome == "open"
    assert looks == [3, 6]


def test_regression_to_the_mean_is_shown(archive: Archive):
    confirmation, _ = confirm(archive, scripted(0.05))
    (line,) = confirmation_lines([confirmation])
    assert confirmation.fresh is not None
    assert f"{confirmation.fresh.mean - confirmation.first.mean:+.3f} to the first" in line
    card = archive.record(NAME).scorecard
    assert card is not None
    told = list(task_lines(card.scores, scorecard(archive.fresh_trials("quick")[NAME]).scores))
    assert len(told) == 6
    assert "first 0.999 [0.999, 1.000], n 3; fresh 0." in told[0]


def test_every_proposal_that_leads_is_confirmed_in_turn(archive: Archive):
    second = Variant(name="delta_net_4layer_second_in_for_loop", source=SOURCE + "\n")
    tell(archive, second, tuple(trial(second, spec, QUICK, 0.999) for spec in trial_specs(QUICK)))
    assert [found.variant.name for found in WouldBeBest.all_of(archive, QUICK)] == [NAME, second.name]
    first = WouldBeBest.all_of(archive, QUICK)[0]
    archive.tell_confirmation(*first.run(Pipeline(scripted(-0.1)(first))))
    assert [found.variant.name for found in WouldBeBest.all_of(archive, QUICK)] == [second.name]


def test_a_lead_in_the_mean_that_is_farther_from_the_challenge_is_no_lead(tmp_path: Path):
    archive = make_archive(tmp_path / "search")
    skewed = Variant(name=NAME, source=SOURCE)
    means = {"Context Recall": 0.8, "Memorize": 0.99, "Compress": 0.9}
    told = tuple(trial(skewed, spec, QUICK, means.get(spec.task, 0.95)) for spec in trial_specs(QUICK))
    tell(archive, skewed, told)
    assert fmean(t.accuracy or 0.0 for t in told) > 0.9
    assert not WouldBeBest.all_of(archive, QUICK)


def test_a_lead_that_all_fresh_seeds_could_not_tell_from_noise_is_not_worth_them(archive: Archive):
    (found,) = WouldBeBest.all_of(archive, QUICK)
    assert found is not None
    repeated = replace(found, first=Effect(mean=0.03, error=0.02, freedom=10, n=3))  # 2 standard errors after 6 seeds
    assert repeated.out_of_reach
    assert not replace(found, first=Effect(mean=0.04, error=0.02, freedom=10, n=3)).out_of_reach


def test_a_search_names_such_a_lead_once_and_trains_nothing(tmp_path: Path, sandbox: Sandbox):
    archive, out = make_archive(tmp_path / "search"), Console(record=True, width=300, file=io.StringIO())
    ahead = Variant(name=NAME, source=SOURCE)
    best = archive.trials("quick")[NEAREST]
    tell(archive, ahead, tuple(trial(ahead, spec_of(t), QUICK, min(1.0, (t.accuracy or 0.0) + 0.001)) for t in best))
    with ThreadPoolExecutor(1) as trials, Progress(out, 1) as progress:
        search = Search(
            archive, SearchResources(Nobody(), sandbox, QUICK, Engine(trials)), SearchPlan(0, 1, 0), progress
        )
        assert [*search.run(), *search.run()] == []
    assert out.export_text().count("no new best: ") == 1
    assert not archive.confirmations("quick")


def test_a_protocol_of_one_seed_has_no_new_best(archive: Archive):
    assert not WouldBeBest.all_of(archive, SMOKE)


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_a_search_for_nothing_ends_what_waits_and_proposes_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    confirm(archive, scripted(0.2, limit=7))
    monkeypatch.setattr(Evaluator, "evaluate", scripted_evaluate)
    assert run(["propose", "--n", "0", "--proposer", "evolve", "--archive", str(archive.root)]) == DONE
    shown = capsys.readouterr().out
    assert "nothing was proposed" in shown
    assert "new best, confirmed" in shown
    assert Archive(archive.root).confirmations("quick")[NAME].outcome == "confirmed"
    assert len(archive.ids()) == 1


def scripted_evaluate(
    self: Evaluator, variant: Variant, specs: Sequence[TrialSpec], *, inherited: Any = None, **_: object
) -> Evaluation:
    """In the place of training: the proposal is ahead."""
    mean = 0.9 if variant.name == NAME else 0.7
    found = {spec: trial(variant, spec, self.protocol, mean + 0.001 * (spec.seed % 3)) for spec in specs}
    return Evaluation(Status.SCORED, "", tuple((found | dict(inherited)).values()))


class Nobody:
    """Proposes nothing."""

    name = "nobody"

    def ask(self, _: object) -> Ask:
        raise AssertionError("nobody asks")


def test_a_search_first_confirms_in_split_isolation_what_an_earlier_one_left(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    """Real training of two steps; the scores on the protocol's own seeds are made up."""
    tiny = make_tiny_protocol(name="quick", seeds=(0, 1))
    monkeypatch.setitem(PROTOCOLS, "quick", tiny)
    monkeypatch.setattr("agent.search.confirm.LOOKS", 1)
    base, lucky = seed_variants()[BASELINE], Variant(name=NAME, source=SOURCE)
    low = [trial(base, spec, tiny, 0.0) for spec in trial_specs(tiny)]
    archive = make_archive_of(tmp_path / "search", [base], low)
    high = tuple(trial(lucky, spec, tiny, 0.9) for spec in trial_specs(tiny))
    tell(archive, lucky, high, tiny)
    with ThreadPoolExecutor(2) as trials, Progress(Console(quiet=True), 1) as progress:
        bench = SearchResources(Nobody(), sandbox, tiny, Engine(trials))
        assert list(Search(archive, bench, SearchPlan(0, 1, 0), progress).run()) == []
    fresh = archive.fresh_trials("quick")
    assert archive.confirmations("quick")[NAME].outcome in ("confirmed", "refuted", "open")
    assert {t.isolation for own in fresh.values() for t in own} == {"split"}
    assert {name: {t.seed for t in own} for name, own in fresh.items()} == {
        name: {*fresh_seeds(tiny)} for name in (BASELINE, NAME)
    }
    assert list(problems(archive)) == []
