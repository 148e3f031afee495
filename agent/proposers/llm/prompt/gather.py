"""From what the archive knows to what a prompt says."""

import random

from agent.analysis.board import best_board, measured_board, published_board
from agent.analysis.leaderboard_facts import leaderboard_facts
from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import CATALOGUE, Genome, Mechanism
from agent.catalogue.render import formulas
from agent.proposers.llm.configuration.settings import Form
from agent.proposers.llm.prompt.around_the_kernel import judgement_lines, model_lines, task_lines
from agent.proposers.llm.prompt.facts import MechanismFact, PromptFacts, ShownKernel
from agent.proposers.llm.prompt.history import calibration_lines, history_lines
from agent.proposers.llm.prompt.structural_limits import structure_lines
from agent.proposers.llm.prompt.tables import board_rows
from variants.contract import BASELINE, Layer

FOCUSES: dict[str, str] = {
    "scores": "how q and k become scores inside the chunk (`attn`)",
    "error": "what happens to the error `u_i` before it is read and written",
    "decay": "what of the state S is forgotten from chunk to chunk, and when",
    "update": "how the outer product of keys and errors enters S, with carried state if need be",
    "readout": "what a query reads from S (`o_inter`), and how it meets the part from inside the chunk",
    "write": "which errors are written at all, and how strongly",
}
"""Parts of the loop: concurrent asks are each pointed at another, so that they do not propose the same."""


def gather(
    snapshot: ArchiveSnapshot, form: Form, model: str, parents: tuple[str, ...], focus: str, busy: tuple[str, ...]
) -> PromptFacts:
    """All facts, uncut. `busy`: what this run has proposed that the archive does not tell of yet."""
    parent, *others = (_kernel(snapshot, name) for name in parents)
    contract = snapshot.variants[parent.name].contract
    shows_base = form == "code" and parent.name != BASELINE and BASELINE in snapshot.variants
    return PromptFacts(
        form=form,
        protocol=snapshot.protocol,
        parent=parent,
        others=tuple(kernel for kernel in others if kernel.name != BASELINE),
        base=_kernel(snapshot, BASELINE) if shows_base else None,
        measured=board_rows(measured_board(snapshot), parents),
        published=board_rows(published_board(snapshot), parents),
        insights=leaderboard_facts(best_board(snapshot)),
        structure=structure_lines(snapshot.protocol),
        history=history_lines(snapshot),
        calibration=calibration_lines(snapshot, model),
        under_way=tuple(dict.fromkeys([*snapshot.under_way, *busy])),
        focus=FOCUSES[focus],
        mechanisms=mechanism_facts(snapshot, parent.name, focus) if form == "structured" else (),
        tasks_about=task_lines(snapshot.protocol),
        model_about=model_lines(snapshot.protocol) if form == "code" else (),
        judged_by=judgement_lines(snapshot.protocol) if form == "code" else (),
        function=contract.function,
        inputs=contract.inputs,
    )


def _kernel(snapshot: ArchiveSnapshot, name: str) -> ShownKernel:
    genome = snapshot.genomes.get(name)
    return ShownKernel(
        name=name,
        source=snapshot.variants[name].source.strip(),
        formulas=tuple(formulas(genome)) if genome is not None else (),
        genome=genome.to_json() if genome is not None else None,
        why="the gated layer's own kernel" if snapshot.variants[name].layer is Layer.GATED_DELTA_NET else "",
    )


def mechanism_facts(snapshot: ArchiveSnapshot, parent: str, focus: str) -> tuple[MechanismFact, ...]:
    """Mechanisms that make something new of the parent at some value of their parameters, the focus's slot first."""
    genome = snapshot.genomes[parent]
    known = {found.canonical for found in snapshot.genomes.values()}
    by_slot = [
        [_fact(slot, kind) for kind in CATALOGUE[slot] if _is_new(genome, slot, kind, known)]
        for slot in sorted(CATALOGUE, key=lambda slot: slot != focus)
    ]
    chance = random.Random(snapshot.seed)
    for found in by_slot:
        chance.shuffle(found)
    # In turns through the slots, so that a cut leaves some of each; shuffled, so that each is left by some asks.
    longest = max(map(len, by_slot), default=0)
    return tuple(found[place] for place in range(longest) for found in by_slot if place < len(found))


def _is_new(genome: Genome, slot: str, kind: type[Mechanism], known: set[str]) -> bool:
    if kind.no_op:
        return False
    # A mechanism with parameters always has a value that was not tried; one without is known or it is not.
    return bool(kind.grids()) or genome.replace(**{slot: kind()}).canonical not in known  # type: ignore[call-arg]


def _fact(slot: str, kind: type[Mechanism]) -> MechanismFact:
    default = kind()  # type: ignore[call-arg]
    return MechanismFact(
        slot=slot,
        mechanism=default.mechanism,
        title=default.title,
        formula=default.fill(default.formula, q="q_i", k="k_i"),
        parameters={name: tuple(values) for name, values in kind.grids().items()},
    )
