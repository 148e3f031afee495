"""From what the archive knows to what a prompt says."""

import random

from agent.analysis.board import best_board, measured_board, published_board
from agent.analysis.leaderboard_facts import insights
from agent.analysis.snapshot import Context
from agent.catalogue import CATALOGUE, Genome, Mechanism
from agent.catalogue.render import formulas
from agent.proposers.llm.endpoint.settings import Form
from agent.proposers.llm.prompt.around_the_kernel import judgement_lines, model_lines, task_lines
from agent.proposers.llm.prompt.facts import Facts, Kernel, MechanismFact
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
    context: Context, form: Form, model: str, parents: tuple[str, ...], focus: str, busy: tuple[str, ...]
) -> Facts:
    """All facts, uncut. `busy`: what this run has proposed that the archive does not tell of yet."""
    parent, *others = (_kernel(context, name) for name in parents)
    signature = context.variants[parent.name].signature
    shows_base = form == "code" and parent.name != BASELINE and BASELINE in context.variants
    return Facts(
        form=form,
        protocol=context.protocol,
        parent=parent,
        others=tuple(kernel for kernel in others if kernel.name != BASELINE),
        base=_kernel(context, BASELINE) if shows_base else None,
        measured=board_rows(measured_board(context), parents),
        published=board_rows(published_board(context), parents),
        insights=insights(best_board(context)),
        structure=structure_lines(context.protocol),
        history=history_lines(context),
        calibration=calibration_lines(context, model),
        under_way=tuple(dict.fromkeys([*context.under_way, *busy])),
        focus=FOCUSES[focus],
        mechanisms=mechanism_facts(context, parent.name, focus) if form == "structured" else (),
        tasks_about=task_lines(context.protocol),
        model_about=model_lines(context.protocol) if form == "code" else (),
        judged_by=judgement_lines(context.protocol) if form == "code" else (),
        function=signature.function,
        inputs=signature.inputs,
    )


def _kernel(context: Context, name: str) -> Kernel:
    genome = context.genomes.get(name)
    return Kernel(
        name=name,
        source=context.variants[name].source.strip(),
        formulas=tuple(formulas(genome)) if genome is not None else (),
        genome=genome.to_json() if genome is not None else None,
        why="the gated layer's own kernel" if context.variants[name].layer is Layer.GATED_DELTA_NET else "",
    )


def mechanism_facts(context: Context, parent: str, focus: str) -> tuple[MechanismFact, ...]:
    """Mechanisms that make something new of the parent at some value of their parameters, the focus's slot first."""
    genome = context.genomes[parent]
    known = {found.canonical for found in context.genomes.values()}
    by_slot = [
        [_fact(slot, kind) for kind in CATALOGUE[slot] if _is_new(genome, slot, kind, known)]
        for slot in sorted(CATALOGUE, key=lambda slot: slot != focus)
    ]
    chance = random.Random(context.seed)
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
