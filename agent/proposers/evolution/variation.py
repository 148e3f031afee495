"""Variation of genomes: swap, perturb, add, remove, and crossover. Parameters move along their grids."""

import random
from collections.abc import Callable

from agent.catalogue import CATALOGUE, SLOTS, Genome, Mechanism

MAX_MECHANISMS = 4
"""More at once would explain nothing, whatever they score."""
CROSSOVER = 0.25


def offspring(parent: Genome, other: Genome, chance: random.Random) -> Genome:
    """A child of one or two parents; it may equal one of them."""
    if chance.random() < CROSSOVER and other != parent:
        return crossover(parent, other, chance)
    return mutate(parent, chance)


def mutate(genome: Genome, chance: random.Random) -> Genome:
    """One change, of a kind that the genome allows."""
    filled = list(genome.mechanisms)
    empty = [slot for slot in SLOTS if slot not in filled]
    kinds: list[Callable[[], Genome]] = []
    if filled:
        kinds += [
            lambda: _fill(genome, chance.choice(filled), chance),
            lambda: perturb(genome, chance),
            lambda: genome.replace(**{chance.choice(filled): None}),
        ]
    if empty and len(filled) < MAX_MECHANISMS:
        kinds += 2 * [lambda: _fill(genome, chance.choice(empty), chance)]
    return chance.choice(kinds)()


def perturb(genome: Genome, chance: random.Random) -> Genome:
    """One parameter of one mechanism a step up or down its grid; the same genome where none has a parameter."""
    tunable = [(slot, name) for slot, found in genome.mechanisms.items() for name in type(found).grids()]
    if not tunable:
        return genome
    slot, name = chance.choice(tunable)
    old = genome.mechanisms[slot]
    grid = sorted(set(type(old).grids()[name]))
    at = min(range(len(grid)), key=lambda index: abs(grid[index] - old.parameters[name]))
    to = chance.choice([index for index in (at - 1, at + 1) if 0 <= index < len(grid)])
    return genome.replace(**{slot: type(old).model_validate({**old.model_dump(), name: grid[to]})})


def crossover(parent: Genome, other: Genome, chance: random.Random) -> Genome:
    """Each slot from either parent; slots are emptied at random where that is too many."""
    sources = {slot: chance.choice((parent, other)).mechanisms.get(slot) for slot in SLOTS}
    filled = [slot for slot, mechanism in sources.items() if mechanism is not None]
    surplus = chance.sample(filled, max(0, len(filled) - MAX_MECHANISMS))
    return Genome().replace(**{slot: None if slot in surplus else found for slot, found in sources.items()})


def _fill(genome: Genome, slot: str, chance: random.Random) -> Genome:
    return genome.replace(**{slot: draw(slot, chance, unlike=genome.mechanisms.get(slot))})


def draw(slot: str, chance: random.Random, unlike: Mechanism | None = None) -> Mechanism:
    """A mechanism for a slot that does something, of another kind than `unlike`; each parameter default or drawn."""
    kinds = [kind for kind in CATALOGUE[slot] if not kind.no_op and not isinstance(unlike, kind)]
    kind = chance.choice(kinds)
    drawn = {name: chance.choice(grid) for name, grid in kind.grids().items() if chance.random() < 0.5}
    return kind.model_validate({"mechanism": kind.model_fields["mechanism"].default, **drawn})
