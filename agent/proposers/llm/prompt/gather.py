"""From what the archive knows to what a prompt says."""

import random
from collections.abc import Mapping

from agent.analysis.boards.board import Board, best_board, measured_board, published_board
from agent.analysis.boards.challenge import nearest_first
from agent.analysis.boards.leaderboard_facts import leaderboard_facts, noise
from agent.analysis.boards.sizes import sizes_of, unequal
from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import CATALOGUE, Genome, Mechanism
from agent.proposers.llm.configuration.settings import Form
from agent.proposers.llm.prompt.content.around_the_kernel import judgement_lines, left_lines, model_lines, task_lines
from agent.proposers.llm.prompt.content.attempts import shown_attempts
from agent.proposers.llm.prompt.content.calibration import calibration_lines
from agent.proposers.llm.prompt.content.focus import Focus, focus_sentence
from agent.proposers.llm.prompt.content.history import history_lines
from agent.proposers.llm.prompt.content.kernels import base_kernel, loop_kernel, whole_kernel, with_size
from agent.proposers.llm.prompt.content.literature import literature_lines
from agent.proposers.llm.prompt.content.notes import notebook_lines
from agent.proposers.llm.prompt.content.parents import OfferedParent
from agent.proposers.llm.prompt.content.reference import reference_lines
from agent.proposers.llm.prompt.content.speed import seed_rows, speed_rows
from agent.proposers.llm.prompt.content.structural_limits import structure_lines
from agent.proposers.llm.prompt.content.tables import nearest_rows, published_rows, rows_above, scale_rows
from agent.proposers.llm.prompt.content.weakness import moved_lines
from agent.proposers.llm.prompt.facts import MechanismFact, PromptFacts
from variants.contract import BASELINE, REFERENCE, short_name


def gather(
    snapshot: ArchiveSnapshot,
    form: Form,
    model: str,
    parents: tuple[OfferedParent, ...],
    focus: Focus,
    busy: Mapping[str, str],
) -> PromptFacts:
    """All facts, uncut. `busy`: titles by name of what this run has proposed and the archive does not tell of yet."""
    by_code = form == "code"
    base = base_kernel(snapshot) if by_code else None
    sizes = sizes_of(snapshot)
    parent, *others = (
        with_size(loop_kernel(snapshot, each) if base else whole_kernel(snapshot, each), sizes.of(each.name))
        for each in parents
    )
    contract = snapshot.variants[parent.name].contract
    names, measured, published = [each.name for each in parents], measured_board(snapshot), published_board(snapshot)
    best, shown = best_board(snapshot), (*names, BASELINE, REFERENCE)
    attempts = shown_attempts(snapshot, names, sizes) if by_code else ()
    rows, rest = nearest_rows(measured, names)
    return PromptFacts(
        form=form,
        protocol=snapshot.protocol,
        tasks=measured.tasks,
        parent=parent,
        others=tuple(others),
        nearest_first=tuple(nearest_first(best, names)),
        base=base,
        measured=rows,
        measured_rest=rest,
        published=published_rows(published, names),
        published_tasks=published.tasks,
        above=rows_above(snapshot),
        insights=(
            *_insights(best, scaled=by_code and bool(measured.scores)),
            *unequal(measured, sizes),
        ),
        structure=structure_lines(snapshot.protocol),
        history=history_lines(snapshot, {attempt.name for attempt in attempts}),
        attempts=attempts,
        calibration=calibration_lines(snapshot, model),
        under_way=_under_way(snapshot, busy),
        focus=focus_sentence(focus),
        moved=moved_lines(snapshot, focus.task),
        mechanisms=mechanism_facts(snapshot, parent.name, focus.slot) if form == "structured" else (),
        notebook=notebook_lines(snapshot) if by_code else (),
        literature=literature_lines(focus, snapshot.seed) if by_code else (),
        tasks_about=task_lines(snapshot.protocol),
        model_about=model_lines(snapshot.protocol) if by_code else (),
        reference_about=reference_lines(snapshot.protocol) if by_code else (),
        judged_by=(*judgement_lines(snapshot.protocol), *left_lines(snapshot.left)) if by_code else (),
        scales=scale_rows(measured) if by_code and measured.scores else (),
        seeds=seed_rows(snapshot.trials, shown, measured.tasks) if by_code else (),
        speed=speed_rows(snapshot.trials, shown, measured.tasks) if by_code else (),
        function=contract.function,
        inputs=contract.inputs,
    )


def _insights(board: Board, *, scaled: bool) -> tuple[str, ...]:
    """What the leaderboard says; without the noise where the scale that scores are held against has it."""
    return tuple(said for said in leaderboard_facts(board) if not scaled or said != noise(board))


def _under_way(snapshot: ArchiveSnapshot, busy: Mapping[str, str]) -> tuple[str, ...]:
    """Each once, with its title where this run knows it."""
    names = dict.fromkeys((*busy, *snapshot.under_way))
    return tuple(f"`{short_name(name)}`: {busy[name]}" if name in busy else f"`{short_name(name)}`" for name in names)


def mechanism_facts(snapshot: ArchiveSnapshot, parent: str, focus: str | None) -> tuple[MechanismFact, ...]:
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
