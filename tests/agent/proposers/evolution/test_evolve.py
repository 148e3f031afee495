"""The evolutionary proposer: new, deterministic, on the front, and honest about what cannot change."""

import random

import pytest

from agent.analysis.boards.board import published_board
from agent.analysis.replicates import SeedDeviation, moderate
from agent.analysis.snapshot import take_snapshot
from agent.catalogue import CATALOGUE, SEED_GENOMES, Genome
from agent.catalogue.decay import BetaDecay, ConstantDecay
from agent.catalogue.scores import Softmax
from agent.catalogue.state import CappedRead
from agent.proposer import AskFailed
from agent.proposers.evolution.estimate import Estimator, estimator_of
from agent.proposers.evolution.evolve import EvolveProposer
from agent.proposers.evolution.selection import crowding, pareto_front
from agent.proposers.evolution.variation import MAX_MECHANISMS, crossover, mutate, perturb
from archive.tables.leaderboard_csv import PUBLISHED, read_leaderboard
from evaluator.outcomes import Status
from evaluator.protocols.built_in import MAD
from evaluator.tasks.registry import MAD_TASKS  # fmt: skip
from tests.builders import (
    make_archive_of,
    make_provenance,
    make_record,
    make_score,
    make_scores,
    make_snapshot,
    make_trials,
    make_variant,
)
from variants.contract import BASELINE, REFERENCE
from variants.seeds import seed_variants

SOFTMAX = "delta_net_4layer_softmax_attention_in_for_loop"
DECAY = "delta_net_4layer_decay_state_update_in_for_loop"


def standings():
    """The published rows as if measured: three seeds, all a little lower."""
    table = read_leaderboard(PUBLISHED)
    return {
        name: make_scores(*(max(0.0, row[t] - 0.05) for t in MAD_TASKS), half=0.02) for name, row in table.iterrows()
    }


def snapshot(**changes):
    known = {"protocol": "mad", "standings": standings(), "noise": dict.fromkeys(MAD_TASKS, 0.02)}
    return make_snapshot(**(known | changes))


def recorded(proposal, status=Status.REJECTED):
    return make_record(status, proposal=proposal, protocol=MAD, number=1, trials=())


@pytest.mark.parametrize("seed", range(8))
def test_proposes_what_is_new_with_all_its_parts(seed):
    ask = EvolveProposer().ask(snapshot(seed=seed))
    proposal = ask.proposal
    genome = Genome.model_validate(proposal.provenance.mechanisms)
    assert ask.exchanges == ()
    assert genome.canonical not in {known.canonical for known in SEED_GENOMES.values()}
    assert proposal.variant.name == genome.name
    assert proposal.parent in SEED_GENOMES
    assert set(proposal.predictions) == set(MAD_TASKS)
    assert all(p.low <= p.mean <= p.high and p.why for p in proposal.predictions.values())
    assert all((proposal.title, proposal.insights, proposal.motivation, proposal.mathematics, proposal.next_steps))
    assert proposal.differences


def test_same_context_same_proposal_other_seed_another():
    ask = EvolveProposer().ask
    assert ask(snapshot(seed=3)) == ask(snapshot(seed=3))
    assert len({ask(snapshot(seed=seed)).proposal.variant.name for seed in range(6)}) > 3


@pytest.mark.parametrize("known", ["history", "under_way", "variants"])
def test_never_proposes_again_what_was_proposed(known):
    first = EvolveProposer().ask(snapshot(seed=1)).proposal
    changes = {
        "history": {"history": (recorded(first),)},
        "under_way": {"under_way": (first.variant.name,)},
        "variants": {"variants": seed_variants() | {first.variant.name: first.variant}},
    }[known]
    assert EvolveProposer().ask(snapshot(seed=1, **changes)).proposal.variant.name != first.variant.name


def test_a_given_parent_is_the_parent():
    assert EvolveProposer().ask(snapshot(forced_parent=DECAY)).proposal.parent == DECAY
    with pytest.raises(AskFailed, match="not made of mechanisms"):
        EvolveProposer().ask(snapshot(forced_parent=REFERENCE))


def test_proposes_from_an_archive_without_scores():
    """Under another protocol than the published one, nothing is known of the level."""
    proposal = EvolveProposer().ask(snapshot(protocol="smoke", standings={}, noise={})).proposal
    assert all(p.high - p.low > 0.1 for p in proposal.predictions.values())


def estimator(board):
    return Estimator(board, published_board(snapshot()), dict(SEED_GENOMES))


def test_a_change_of_the_state_alone_leaves_memorize_exactly():
    board = published_board(snapshot())
    expected = estimator(board).predict(Genome(scores=Softmax(), decay=BetaDecay()), SOFTMAX)
    memorize = expected["Memorize"].prediction()
    assert memorize.low == memorize.mean == memorize.high == round(board.scores[SOFTMAX]["Memorize"].mean, 4)
    assert expected["Compress"].deviation > 0


def test_effects_are_shrunken_and_unscored_mechanisms_are_uncertain():
    board = published_board(snapshot())
    gain = board.scores[SOFTMAX]["Memorize"].mean - board.scores[BASELINE]["Memorize"].mean
    told = estimator(board).predict(Genome(scores=Softmax(), decay=ConstantDecay()), DECAY)["Memorize"]
    predicted = told.mean - board.scores[DECAY]["Memorize"].mean
    assert 0 < predicted < gain
    assert "adds softmax" in told.why
    new = estimator(board).predict(Genome(readout=CappedRead()), BASELINE)["Compress"]
    assert new.mean == pytest.approx(board.scores[BASELINE]["Compress"].mean)
    assert "never scored" in new.why
    assert new.deviation > estimator(board).predict(Genome(decay=ConstantDecay()), BASELINE)["Compress"].deviation


def test_what_an_archive_pruned_teaches_what_harms_and_stands_on_no_board(tmp_path):
    archive = make_archive_of(tmp_path / "archive", [make_variant(BASELINE)], published=True)
    genome = Genome(decay=BetaDecay(), scores=Softmax())
    before = estimator_of(take_snapshot(archive, "quick", seed=0))
    provenance = make_provenance(mechanisms=genome.to_json())
    given_up = make_record(Status.PRUNED, provenance=provenance, trials=make_trials(make_variant(), [0.1]))
    name = archive.tell(given_up, "report").proposal.variant.name
    now = take_snapshot(archive, "quick", seed=0)
    assert [(change.name, change.genome) for change in now.changes] == [(name, genome)]
    assert name not in now.standings
    assert take_snapshot(archive, "smoke", seed=0).changes == ()
    child = Genome(decay=BetaDecay())
    told, learnt = (known.predict(child, BASELINE)["Context Recall"] for known in (before, estimator_of(now)))
    assert learnt.mean < told.mean - 0.01
    assert "never scored" in told.why
    assert "never scored" not in learnt.why


def test_front_and_crowding():
    rows = {
        "a": dict.fromkeys(MAD_TASKS, 0.5),
        "b": dict.fromkeys(MAD_TASKS, 0.5) | {"Memorize": 0.9},
        "c": dict.fromkeys(MAD_TASKS, 0.6) | {"Memorize": 0.2},
        "d": dict.fromkeys(MAD_TASKS, 0.55) | {"Memorize": 0.6},
    }
    front = pareto_front(rows)
    assert front == ["b", "c", "d"]
    distance = crowding(rows, front)
    assert distance["d"] < distance["b"] == distance["c"] == float("inf")


@pytest.mark.parametrize("seed", range(30))
def test_variation_stays_in_bounds(seed):
    chance = random.Random(seed)
    genome = Genome()
    for _ in range(20):
        genome = mutate(genome, chance)
        assert len(genome.mechanisms) <= MAX_MECHANISMS
        assert not any(found.no_op for found in genome.mechanisms.values())
        assert Genome.model_validate(genome.to_json()) == genome
    other = mutate(mutate(Genome(), chance), chance)
    child = crossover(genome, other, chance)
    assert set(child.mechanisms.values()) <= {*genome.mechanisms.values(), *other.mechanisms.values()}
    assert perturb(Genome(), chance) == Genome()


def test_noise_borrows_strength_from_other_tasks():
    known = {"Memorize": SeedDeviation(0.02, 10), "Compress": SeedDeviation(0.1, 1)}
    found = moderate(known, {"Memorize": 0.25, "Compress": 0.25, "Fuzzy Recall": 0.25, "Context Recall": 0.001})
    assert 0.02 < found["Compress"].deviation < 0.1
    assert found["Memorize"].deviation < found["Fuzzy Recall"].deviation < found["Compress"].deviation
    assert found["Context Recall"].deviation < found["Fuzzy Recall"].deviation


def search(seed, n=40):
    """Proposals on a made-up landscape of additive effects and noise; the least shortfall of the first and the last."""
    chance = random.Random(seed)
    effect = {kind: {t: chance.gauss(-0.01, 0.04) for t in MAD_TASKS} for kinds in CATALOGUE.values() for kind in kinds}

    def measure(genome):
        true = {t: 0.5 + sum(effect[type(m)][t] for m in genome.mechanisms.values()) for t in MAD_TASKS}
        return {t: make_score(min(1.0, max(0.0, x + chance.gauss(0, 0.005))), half=0.02) for t, x in true.items()}

    rows = {name: measure(genome) for name, genome in SEED_GENOMES.items()}
    rows[REFERENCE] = make_scores(0.58, half=0.02)
    genomes, history, sources = dict(SEED_GENOMES), [], seed_variants()
    shortfalls = []
    for index in range(n):
        now = snapshot(standings=rows, genomes=genomes, history=tuple(history), variants=sources, seed=index)
        proposal = EvolveProposer().ask(now).proposal
        genome = Genome.model_validate(proposal.provenance.mechanisms)
        history.append(recorded(proposal, Status.SCORED))
        name = proposal.variant.name
        rows, genomes = rows | {name: measure(genome)}, genomes | {name: genome}
        sources = sources | {name: proposal.variant}
        shortfalls.append(sum(max(0.0, 0.58 - s.mean) for s in rows[name].values()))
    assert len({record.proposal.variant.name for record in history}) == n
    return min(shortfalls[:10]), min(shortfalls[-10:])


@pytest.mark.slow
def test_searches_find_better_children():
    """In the mean of four: a single one may be lucky in its first ten."""
    first, last = zip(*(search(seed) for seed in range(4)), strict=True)
    assert sum(last) < sum(first)
