"""The evolutionary proposer: no language model, no network; the control that a language model has to beat."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from agent.analysis.boards.board import Board, best_board, published_board
from agent.analysis.boards.challenge import Challenge
from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import SEED_GENOMES, Genome, known_genome, render_variant
from agent.catalogue.render import title
from agent.proposer import Ask, AskFailed
from agent.proposers.evolution import wording
from agent.proposers.evolution.estimate import Estimate, Estimator, estimator_of
from agent.proposers.evolution.selection import ParentPool
from agent.proposers.evolution.variation import offspring
from agent.proposers.evolution.without_effect import WithoutEffect
from archive.records.record import Proposal, Provenance
from evaluator.outcomes import Status
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE

CANDIDATES = 24
ATTEMPTS = 2_000


@dataclass(frozen=True)
class UntriedChild:
    """A genome that nobody has proposed yet, with its parents and what it is expected to score on the board."""

    genome: Genome
    parent: str
    other: str
    expected: Mapping[TaskName, Estimate]


class EvolveProposer:
    """Parents from the Pareto front, children by mutation and crossover; the most promising of a few is proposed.

    Promising is decided by Thompson sampling: scores are drawn from what each child is expected to get, and the child
    whose draw is nearest to the challenge wins, so that mechanisms of unknown effect get their turn.
    """

    name = "evolve"

    def ask(self, snapshot: ArchiveSnapshot) -> Ask:
        """A genome that is in no record and not under way. Raises AskFailed if none can be found."""
        chance = random.Random(snapshot.seed)
        board, published = best_board(snapshot), published_board(snapshot)
        genomes = {**SEED_GENOMES, **snapshot.genomes}
        expected = estimator_of(snapshot)
        choosing = expected if board.protocol == snapshot.protocol else Estimator(published, published, genomes)
        mute = expected.without_effect
        candidates = self._candidates(snapshot, board, genomes, choosing, mute, chance)
        challenge = Challenge.of(board)
        best = max(candidates, key=lambda candidate: _promise(candidate, challenge, chance))
        predicted = expected.predict(best.genome, best.parent)
        return Ask(_proposal(best, len(candidates), predicted, snapshot, board, genomes, mute))

    def _candidates(
        self,
        snapshot: ArchiveSnapshot,
        board: Board,
        genomes: dict[str, Genome],
        estimator: Estimator,
        mute: WithoutEffect,
        chance: random.Random,
    ) -> list[UntriedChild]:
        known = {mute.reduced(genome).canonical for genome in known_genomes(snapshot, genomes)}
        names = {*snapshot.variants, *snapshot.under_way}
        possible = [name for name in board.whole if name in genomes and not mute.carried(genomes[name])]
        pool = ParentPool(board, possible) if possible else None
        found: list[UntriedChild] = []
        for _ in range(ATTEMPTS):
            parent, other = _parents(snapshot, pool, chance)
            child = offspring(genomes[parent], genomes[other], chance)
            function = mute.reduced(child).canonical
            if function in known or child.name in names or mute.added(child, genomes[parent]):
                continue
            known.add(function)
            found.append(UntriedChild(child, parent, other, estimator.predict(child, parent)))
            if len(found) == CANDIDATES:
                break
        if not found:
            raise AskFailed("the catalogue has no new child of these parents; name another with --parent")
        return found


def _parents(snapshot: ArchiveSnapshot, pool: ParentPool | None, chance: random.Random) -> tuple[str, str]:
    drawn = pool.parents(chance) if pool is not None else (BASELINE, BASELINE)
    if snapshot.forced_parent is None:
        return drawn
    if snapshot.forced_parent not in {**SEED_GENOMES, **snapshot.genomes}:
        raise AskFailed(
            f"evolve cannot build on {snapshot.forced_parent}: it is not made of mechanisms of the catalogue; "
            "name another with --parent, or use a language model"
        )
    return snapshot.forced_parent, drawn[1]


def known_genomes(snapshot: ArchiveSnapshot, genomes: Mapping[str, Genome]) -> Iterator[Genome]:
    """The seeds and everything proposed before; what was interrupted may be asked for again."""
    yield from genomes.values()
    past = (known_genome(line.mechanisms) for line in snapshot.lines if line.status is not Status.INTERRUPTED)
    yield from (genome for genome in past if genome is not None)


def _promise(candidate: UntriedChild, challenge: Challenge | None, chance: random.Random) -> float:
    """What one draw of the scores is worth for the challenge; without a reference, the mean of the draw."""
    draws = {task: chance.gauss(found.mean, found.deviation) for task, found in candidate.expected.items()}
    return challenge.worth(draws) if challenge else fmean(draws.values())


def _proposal(
    chosen: UntriedChild,
    candidates: int,
    expected: Mapping[TaskName, Estimate],
    snapshot: ArchiveSnapshot,
    board: Board,
    genomes: Mapping[str, Genome],
    mute: WithoutEffect,
) -> Proposal:
    child, parent = chosen.genome, chosen.parent
    made = wording.changes(genomes[parent], child)
    crossed = any(new and new == genomes[chosen.other].mechanisms.get(slot) for slot, _, new in made)
    scored = sorted(name for name in board.scores if name in genomes)
    return Proposal(
        variant=render_variant(child),
        parent=parent,
        title=title(child),
        insights=(
            *wording.why_this_parent(board, parent, on_front=parent != snapshot.forced_parent, candidates=candidates),
            *mute.sentences(),
        ),
        motivation=wording.full_motivation(parent, made, child),
        mathematics=wording.mathematics(child),
        predictions={task: found.prediction() for task, found in expected.items()},
        differences=wording.differences(child, parent, genomes, board, scored),
        next_steps=wording.next_steps(
            made, child, {task: found.mean for task, found in chosen.expected.items()}, board
        ),
        provenance=Provenance(
            proposer=EvolveProposer.name,
            seed=snapshot.seed,
            parents=(parent, chosen.other) if crossed else (parent,),
            mechanisms=child.to_json(),
        ),
    )
