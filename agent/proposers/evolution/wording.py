"""What the evolutionary proposer writes about its proposal: every sentence is computed from genomes and scores."""

from collections.abc import Mapping, Sequence

from agent.analysis.boards.board import Board
from agent.analysis.boards.leaderboard_facts import gaps
from agent.catalogue import Genome, Mechanism
from agent.catalogue.render import formulas, motivation
from agent.words import number, signed
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE, short_name

SLOT_WORDS = {
    "features": "q and k before the scores",
    "readout": "the read-out of the state",
    "scores": "the scores inside the chunk",
    "error": "the prediction error",
    "output": "what is added to the output",
    "decay": "the decay of the state",
    "write": "which part of the error is written",
    "update": "the rule of the update",
    "state": "a bound on the state",
}

Change = tuple[str, Mechanism | None, Mechanism | None]


def changes(parent: Genome, child: Genome) -> list[Change]:
    """Slots that differ, each with what it held and what it holds."""
    old, new = parent.mechanisms, child.mechanisms
    return [(slot, old.get(slot), new.get(slot)) for slot in SLOT_WORDS if old.get(slot) != new.get(slot)]


def why_this_parent(board: Board, parent: str, on_front: bool, candidates: int) -> tuple[str, ...]:
    """Where the parent stands, and how the child was chosen."""
    lead = gaps(board, parent, REFERENCE)
    told = ", ".join(f"{task} {signed(gap)}" for task, gap in lead.items())
    chosen = f"on the Pareto front of the {number(len(board.tasks))} tasks" if on_front else "given as the parent"
    distance = f" Against `{REFERENCE}` ({board.title}): {told}." if told else ""
    return (
        f"`{short_name(parent)}` is {chosen}.{distance}",
        f"Of {candidates} untried children of such parents, this one had the best draw from what each is expected to "
        f"score: nearest to beating `{REFERENCE}` on every task, in units of noise.",
    )


def full_motivation(parent: str, made: Sequence[Change], child: Genome) -> str:
    """What changes relative to the parent, and what speaks for each mechanism."""
    steps = "; ".join(_step(slot, old, new) for slot, old, new in made)
    return f"Relative to `{short_name(parent)}`: {steps}. {motivation(child)}"


def mathematics(child: Genome) -> str:
    """One formula a line."""
    return "\n".join(formulas(child))


def differences(
    child: Genome, parent: str, genomes: Mapping[str, Genome], board: Board, scored: Sequence[str]
) -> tuple[str, ...]:
    """The nearest earlier variants, and what nobody has tried."""
    own = set(child.mechanisms.values())
    near = sorted(
        (name for name in scored if name not in (parent, BASELINE) and own & set(genomes[name].mechanisms.values())),
        key=lambda name: (-len(own & set(genomes[name].mechanisms.values())), name),
    )[:3]
    told = [_nearest(child, name, genomes[name], board) for name in near]
    tried = {found.mechanism for name in scored for found in genomes[name].mechanisms.values()}
    new = [found.mechanism for found in child.mechanisms.values() if found.mechanism not in tried]
    if new:
        told.append(f"Never scored before, in any combination: {', '.join(new)}.")
    elif not near:
        told.append("Its mechanisms were each scored, but never with these parameters or together.")
    return tuple(told)


def next_steps(
    made: Sequence[Change], child: Genome, expected: Mapping[TaskName, float], board: Board
) -> tuple[str, ...]:
    """What to try, whichever way it goes."""
    lead = {task: mean - own for task, mean in expected.items() if (own := board.mean(REFERENCE, task)) is not None}
    behind = {task: gap for task, gap in lead.items() if gap < 0}
    steps = []
    if behind:
        worst = min(behind, key=lambda task: behind[task])
        steps.append(
            f"If all goes as predicted, {worst} is what it still lacks most against `{REFERENCE}` "
            f"({signed(behind[worst])}): the next change should be one that moves {worst}."
        )
    for slot, _, new in made:
        if new is not None and type(new).grids():
            name, grid = next(iter(type(new).grids().items()))
            others = [f"{value:g}" for value in sorted(set(grid)) if value != new.parameters[name]]
            steps.append(f"If it gains: {new.mechanism} with {name} {', '.join(others)} instead ({SLOT_WORDS[slot]}).")
    if len(child.mechanisms) > 1:
        parts = ", ".join(found.mechanism for found in child.mechanisms.values())
        steps.append(f"If it loses: drop one of {parts} at a time, to see which of them costs.")
    return tuple(steps) or ("If it gains: confirm on fresh seeds before building on it.",)


def _nearest(child: Genome, name: str, genome: Genome, board: Board) -> str:
    shared = [found.mechanism for found in child.mechanisms.values() if found in genome.mechanisms.values()]
    lacks = [found.mechanism for found in child.mechanisms.values() if found not in genome.mechanisms.values()]
    extra = [found.mechanism for found in genome.mechanisms.values() if found not in child.mechanisms.values()]
    told = f"`{short_name(name)}` has {', '.join(shared)} too"
    told += f", without {', '.join(lacks)}" if lacks else ""
    told += f", and {', '.join(extra)} beside it" if extra else ""
    own = gaps(board, name, BASELINE)
    effect = ", ".join(f"{task} {signed(gap)}" for task, gap in own.items())
    return f"{told}: {effect} against the baseline." if effect else f"{told}."


def _step(slot: str, old: Mechanism | None, new: Mechanism | None) -> str:
    where = SLOT_WORDS[slot]
    if new is None:
        return f"{where} as in the baseline again, without {old.mechanism if old else ''}"
    values = ", ".join(f"{name} {value:g}" for name, value in new.parameters.items())
    told = f"{new.mechanism} ({values})" if values else new.mechanism
    if old is None:
        return f"{told} for {where}"
    if old.mechanism == new.mechanism:
        before = ", ".join(f"{name} {value:g}" for name, value in old.parameters.items())
        return f"{told} instead of {before} for {where}"
    return f"{told} instead of {old.mechanism} for {where}"
