"""The random proposer: a genome of the catalogue drawn blindly. The control that selection has to beat."""

import random

from agent.analysis.boards.board import measured_board
from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import CATALOGUE, SEED_GENOMES, SLOTS, Genome, render_variant
from agent.catalogue.render import title
from agent.proposer import Ask, AskFailed
from agent.proposers.evolution import wording
from agent.proposers.evolution.estimate import estimator_of
from agent.proposers.evolution.evolve import known_genomes
from agent.proposers.evolution.variation import MAX_MECHANISMS, draw
from archive.records.record import Proposal, Provenance
from variants.contract import BASELINE

ATTEMPTS = 2_000


class RandomProposer:
    """How many mechanisms, which slots, which mechanism in each: all alike. Scores only predict, and choose nothing."""

    name = "random"

    def ask(self, snapshot: ArchiveSnapshot) -> Ask:
        """A genome that is in no record and not under way. Raises AskFailed if none can be found."""
        chance = random.Random(snapshot.seed)
        genomes = {**SEED_GENOMES, **snapshot.genomes}
        known = {genome.canonical for genome in known_genomes(snapshot, genomes)}
        names = {*snapshot.variants, *snapshot.under_way}
        parent = snapshot.forced_parent or BASELINE
        if parent not in genomes:
            raise AskFailed(f"random cannot compare with {parent}: it is not made of mechanisms of the catalogue")
        for _ in range(ATTEMPTS):
            child = drawn(chance)
            if child.canonical not in known and child.name not in names:
                return Ask(_proposal(child, parent, snapshot, genomes))
        raise AskFailed("the catalogue has no genome left that was not proposed")


def drawn(chance: random.Random) -> Genome:
    """A genome of one to `MAX_MECHANISMS` mechanisms, each number of them as likely."""
    slots = chance.sample(SLOTS, chance.randint(1, min(MAX_MECHANISMS, len(CATALOGUE))))
    return Genome().replace(**{slot: draw(slot, chance) for slot in slots})


def _proposal(child: Genome, parent: str, snapshot: ArchiveSnapshot, genomes: dict[str, Genome]) -> Proposal:
    board = measured_board(snapshot)
    expected = estimator_of(snapshot).predict(child, parent)
    scored = sorted(name for name in board.scores if name in genomes)
    made = wording.changes(genomes[parent], child)
    return Proposal(
        variant=render_variant(child),
        parent=parent,
        title=title(child),
        insights=("Drawn blindly from the catalogue: no score was looked at.",),
        motivation=wording.full_motivation(parent, made, child),
        mathematics=wording.mathematics(child),
        predictions={task: found.prediction() for task, found in expected.items()},
        differences=wording.differences(child, parent, genomes, board, scored),
        next_steps=wording.next_steps(made, child, {task: found.mean for task, found in expected.items()}, board),
        provenance=Provenance(
            proposer=RandomProposer.name, seed=snapshot.seed, parents=(parent,), mechanisms=child.to_json()
        ),
    )
