"""What evolve believes of mechanisms: as they were measured, and nothing of those that did nothing."""

import numpy as np
import pytest

from agent.analysis.measured_changes import Difference, MeasuredChange, measured_changes
from agent.analysis.snapshot import take_snapshot
from agent.catalogue import SEED_GENOMES, Genome, Mechanism, render_variant
from agent.catalogue.decay import BetaDecay, ConstantDecay, ErrorForget
from agent.catalogue.scores import CosineSoftmax
from agent.catalogue.state import CappedRead, FrobeniusBall
from agent.catalogue.update import Momentum
from agent.catalogue.write import ErrorGate
from agent.proposers.evolution.effects import (
    QUIET,
    SHARED,
    ChangedParts,
    Effects,
    Measured,
    misfit,
    signed_changes,
)
from agent.proposers.evolution.estimate import EIGHTY, estimator_of
from agent.proposers.evolution.evolve import EvolveProposer
from agent.proposers.evolution.without_effect import WithoutEffect
from archive.records.lines import line_of
from archive.seeding import make_archive
from benchmarks.estimator import published_left_out, quick_left_out
from tests.builders import (
    make_archive_of,
    make_proposal,
    make_provenance,
    make_record,
    make_trial,
    make_trials,
    make_variant,
)
from variants.contract import BASELINE

COSINE = Genome(scores=CosineSoftmax())
COMBINED = tuple(name for name, genome in SEED_GENOMES.items() if genome.scores == COSINE.scores)
"""Of their mechanisms two rows tell, which need not agree."""
FROBENIUS = Genome(state=FrobeniusBall())


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """An archive as `archer init` makes it, with the trials that ship."""
    return make_archive(tmp_path_factory.mktemp("shipped") / "archive")


def test_a_mechanism_that_changed_nothing_is_predicted_at_the_parents_score(shipped):
    """Frobenius renormalisation: 18 trials under `quick`, each with the baseline's very weights."""
    now = take_snapshot(shipped, "quick", seed=0)
    for parent in (Genome(), COSINE):
        expected = estimator_of(now).predict(parent.replace(state=FrobeniusBall()), parent.name)
        for task, estimate in expected.items():
            assert estimate.mean == now.standings[parent.name][task].mean
            assert estimate.deviation <= 0.02
            assert estimate.deviation == 0 or "+0.000" in estimate.why or "(0 ±" in estimate.why


@pytest.mark.parametrize("name", [name for name in SEED_GENOMES if name not in (BASELINE, *COMBINED)])
@pytest.mark.slow
def test_what_lost_is_not_predicted_to_gain_and_what_gained_not_to_lose(shipped, name):
    now = take_snapshot(shipped, "quick", seed=0)
    expected = estimator_of(now).predict(SEED_GENOMES[name], BASELINE)
    for task, estimate in expected.items():
        baseline = now.standings[BASELINE][task].mean
        measured = now.standings[name][task].mean - baseline
        if abs(measured) >= 0.002 and estimate.deviation > 0:
            assert (estimate.mean - baseline) * measured > 0, task
            assert abs(estimate.mean - baseline) < abs(measured) + 0.01


def test_a_report_predicts_what_it_says_was_measured(shipped):
    """Belief and measurement stand side by side, have one sign, and are the leaderboard's own numbers."""
    now = take_snapshot(shipped, "quick", seed=0)
    child = COSINE.replace(decay=ErrorForget())
    estimate = estimator_of(now).predict(child, COSINE.name)["Fuzzy Recall"]
    decay = Genome(decay=ErrorForget()).name
    measured = now.standings[decay]["Fuzzy Recall"].mean - now.standings[BASELINE]["Fuzzy Recall"].mean
    assert f"measured {measured:+.3f}" in estimate.why
    assert 0 < estimate.mean - now.standings[COSINE.name]["Fuzzy Recall"].mean < measured


@pytest.mark.slow
def test_the_first_eight_proposals_hold_nothing_that_is_known_to_do_nothing(tmp_path):
    """Results are scripted: what acts on the state or its read-out gets its parent's trials."""
    archive = make_archive(tmp_path / "archive")
    for seed in range(8):
        now = take_snapshot(archive, "quick", seed=seed)
        assert EvolveProposer().ask(take_snapshot(archive, "quick", seed=seed)) == EvolveProposer().ask(now)
        proposal = EvolveProposer().ask(now).proposal
        genome = Genome.model_validate(proposal.provenance.mechanisms)
        mute = WithoutEffect(now.changes)
        assert mute.reduced(genome) == genome
        assert not isinstance(genome.state, FrobeniusBall) or genome.state.radius != 1
        assert any("frobenius_ball (radius 1) did nothing: 18 trainings" in told for told in proposal.insights)
        parents = archive.trials("quick")[proposal.parent]
        idle = genome.readout is not None or genome.state is not None
        trials = [as_if_of(trial, proposal.variant, 0.0 if idle else 0.01) for trial in parents]
        archive.tell(make_record(proposal=proposal, trials=tuple(trials)), "report")


def as_if_of(trial, variant, more):
    """A trial of the parent as one of its child, whose accuracy is that much higher."""
    changed = {"accuracy": min(1.0, trial.accuracy + more), "weights_hash": "other"} if more else {}
    return trial.model_copy(update={"variant": variant.name, "source_hash": variant.source_hash, **changed})


def test_a_record_without_effect_is_learnt_from_though_another_machine_rounded_its_trials(tmp_path):
    archive = make_archive(tmp_path / "archive")
    child = Genome(state=FrobeniusBall(radius=0.25))
    provenance = make_provenance(mechanisms=child.to_json())
    proposal = make_proposal(render_variant(child), parent=BASELINE, provenance=provenance)
    trials = [as_if_of(t, proposal.variant, 0.002 * (t.task == "Compress")) for t in archive.trials("quick")[BASELINE]]
    for no_effect in (False, True):
        record = make_record(proposal=proposal, trials=tuple(trials), no_effect=no_effect)
        changes = measured_changes(
            {**archive.trials("quick"), proposal.variant.name: trials}, {}, [line_of(record)], {}
        )
        assert WithoutEffect(changes).added(child, Genome()) is no_effect


def test_of_many_proposals_the_newest_teach_what_changes_do(tmp_path, monkeypatch):
    archive = make_archive(tmp_path / "archive")
    known, lines, pruned = dict(archive.trials("quick")), [], {}
    seeds = {change.name for change in measured_changes(known, {}, (), {})}
    for number, radius in enumerate((0.25, 0.5, 0.75, 0.9), 1):
        child = Genome(state=FrobeniusBall(radius=radius))
        proposal = make_proposal(
            render_variant(child), parent=BASELINE, provenance=make_provenance(mechanisms=child.to_json())
        )
        where = pruned if number == 3 else known
        where[child.name] = [as_if_of(t, proposal.variant, 0.01) for t in known[BASELINE]]
        lines.append(line_of(make_record(number=number, proposal=proposal)))

    def learnt() -> list[int]:
        found = {change.name for change in measured_changes(known, pruned, lines, {})}
        assert found >= seeds
        return [line.number for line in lines if line.name in found]

    assert learnt() == [1, 2, 3, 4]
    monkeypatch.setattr("agent.analysis.measured_changes.LEARNT", 2)
    assert learnt() == [3, 4]


def test_what_did_nothing_is_not_proposed_on_any_such_parent(shipped):
    mute = WithoutEffect(take_snapshot(shipped, "quick", seed=0).changes)
    child = COSINE.replace(state=FrobeniusBall())
    assert mute.added(child, COSINE)
    assert mute.reduced(child) == COSINE
    assert not mute.added(COSINE.replace(state=FrobeniusBall(radius=0.25)), COSINE)
    momentum = Genome(update=Momentum())
    assert not mute.added(momentum.replace(state=FrobeniusBall()), momentum)
    assert mute.carried(FROBENIUS)
    assert not mute.carried(COSINE)


def test_a_single_trial_that_differs_takes_a_mechanism_off_the_list():
    nothing = MeasuredChange("a", BASELINE, FROBENIUS, Genome(), {"Compress": Difference(0.0, 1e-4)}, 18)
    acted = MeasuredChange(
        "b", COSINE.name, COSINE.replace(state=FrobeniusBall()), COSINE, {"Compress": Difference(0.01, 1e-4)}
    )
    assert WithoutEffect([nothing]).sentences() != ()
    assert WithoutEffect([nothing, acted]).sentences() == ()


@pytest.mark.parametrize(("weights", "count"), [("same", 6), (None, 6), ("other", 0)])
def test_equal_accuracy_with_other_weights_is_an_effect(tmp_path, weights, count):
    base, child = make_variant(BASELINE), render_variant(Genome(readout=CappedRead()))
    own = make_trials(base, [0.5], weights_hash="same")
    archive = make_archive_of(tmp_path / "archive", [base], own, published=True)
    provenance = make_provenance(mechanisms=Genome(readout=CappedRead()).to_json())
    trials = make_trials(child, [0.5], weights_hash=weights)
    archive.tell(make_record(name=child.name, source=child.source, provenance=provenance, trials=trials), "report")
    now = take_snapshot(archive, "quick", seed=0)
    assert [change.identical_trials for change in now.changes if change.name == child.name] == [count]


def test_one_task_alike_is_not_without_effect(tmp_path):
    base, child = make_variant(BASELINE), make_variant(FROBENIUS.name)
    trials = [*make_trials(base, 0.5), *(make_trial(child, "Memorize", seed, 0.5 + seed / 100) for seed in range(3))]
    archive = make_archive_of(tmp_path / "archive", [base, child], trials, published=True)
    assert [change.identical_trials for change in take_snapshot(archive, "quick", seed=0).changes] == [0]


def test_a_swap_adds_one_mechanism_and_drops_another():
    assert list(signed_changes(Genome(write=ErrorGate(), decay=BetaDecay()), Genome(write=ErrorGate()))) == [
        (1, BetaDecay())
    ]
    swapped = signed_changes(Genome(decay=BetaDecay()), Genome(decay=ConstantDecay()))
    assert list(swapped) == [(1, BetaDecay()), (-1, ConstantDecay())]


@pytest.mark.parametrize(("left_out", "limit"), [(published_left_out, 0.105), (quick_left_out, 0.085)])
def test_left_out_rows_are_predicted_with_intervals_that_hold(left_out, limit):
    """`python -m benchmarks.estimator` prints these: docs/results/estimator.md."""
    rows = left_out()
    assert 0.72 <= sum(row.inside(EIGHTY) for row in rows) / len(rows) <= 0.88
    assert sum(abs(row.measured - row.expected) for row in rows) / len(rows) < limit


def test_effects_are_those_of_the_matrix_written_out():
    write, beta, constant = ErrorGate(), BetaDecay(), ConstantDecay()
    pairs = [
        (Genome(write=write), Genome()),
        (Genome(write=write, decay=beta), Genome(write=write)),
        (Genome(decay=ConstantDecay(rate=0.9)), Genome(decay=constant)),
        (Genome(decay=beta), Genome()),
        (Genome(write=write), Genome(decay=constant)),
    ]
    differences, variances = np.array([0.1, -0.2, 0.05, np.nan, 0.3]), np.array([0.01, 0.02, 0.01, np.nan, 0.04])
    measured = Measured(differences, variances, np.array([False, True, False, False, False]))
    learnt = Effects.learn(ChangedParts.of(pairs), measured, 0.1)
    seen = [(pair, measured.quiet[row], row) for row, pair in enumerate(pairs) if not np.isnan(differences[row])]
    columns = sorted(
        {part for (new, old), _, _ in seen for _, each in signed_changes(new, old) for part in parts(each)}
    )
    matrix = np.zeros((len(seen), len(columns)))
    for place, ((new, old), _, _) in enumerate(seen):
        for sign, each in signed_changes(new, old):
            for part in parts(each):
                matrix[place, columns.index(part)] += sign
    noise = [(QUIET * 0.1) ** 2 if quiet else variances[row] + misfit(*pair, 0.1) for pair, quiet, row in seen]
    values = [0.0 if quiet else differences[row] for _, quiet, row in seen]
    prior = np.diag([1 / ((1 - SHARED if part.startswith("{") else SHARED) * 0.1**2) for part in columns])
    covariance = np.linalg.inv(prior + matrix.T @ np.diag(1 / np.array(noise)) @ matrix)
    assert list(learnt.columns) == columns
    np.testing.assert_allclose(learnt.covariance, covariance, rtol=1e-12)
    np.testing.assert_allclose(learnt.mean, covariance @ matrix.T @ (np.array(values) / noise), rtol=1e-12)


def parts(mechanism: Mechanism) -> tuple[str, str]:
    """The part that all parameters of a mechanism share, and the one of its own."""
    return mechanism.mechanism, mechanism.model_dump_json()
