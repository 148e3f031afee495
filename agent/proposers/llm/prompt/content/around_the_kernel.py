"""What stands around the kernel, in words: the tasks of a protocol, the model, the scales that arrive."""

from collections.abc import Iterable

from agent.analysis.snapshot import Left
from agent.words import counted
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.protocols.protocol import Protocol
from evaluator.tasks.registry import TASKS, fed_length, longest_fed
from evaluator.tasks.task import TaskPlan


def task_lines(name: str) -> tuple[str, ...]:
    """One line a task: what it asks for, and its sizes under the protocol. Empty for an unknown protocol."""
    protocol = PROTOCOLS.get(name)
    if protocol is None:
        return ()
    return tuple(
        f"{name}: {TASKS[name].about}. Scored: {TASKS[name].counts}. {_sizes(plan)}"
        for name, plan in protocol.tasks.items()
    )


def _sizes(plan: TaskPlan) -> str:
    lengths = [fed_length(setting) for setting in plan.settings]
    longest = [longest_fed(setting) for setting in plan.settings]
    longer = f", in test {_range(longest)}" if longest != lengths else ""
    chunks = [-(-length // plan.chunk_size) for length in (*lengths, *longest)]
    steps = [plan.steps_of(setting) for setting in plan.settings]
    chunk = f"chunk{'s' if max(chunks) > 1 else ''} of {plan.chunk_size}"
    vocabularies = _range(setting.vocabulary for setting in plan.settings)
    copies = [setting.copies for setting in plan.settings if setting.copies]
    layout = (
        f"{_range(copies)} tokens among blanks, the last of them right before a copy token, then as many blanks, at "
        "which they are to be named. "
        if copies
        else ""
    )
    return (
        f"{layout}Vocabulary {vocabularies}, length {_range(lengths)}{longer}: {_range(chunks)} {chunk}; "
        f"{_range(steps)} steps of batch {plan.batch}."
    )


def _range(values: Iterable[int]) -> str:
    found = sorted(set(values))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def model_lines(name: str) -> tuple[str, ...]:
    """What happens before and after the kernel, and how large its inputs are. Empty for an unknown protocol."""
    protocol = PROTOCOLS.get(name)
    return () if protocol is None else tuple(_model(protocol))


def _model(protocol: Protocol) -> Iterable[str]:
    head = protocol.width // protocol.heads
    yield (
        f"Model: {protocol.blocks} blocks of a mixer around the kernel and a SwiGLU (`4layer` counts both), "
        f"residual, pre-norm, no position embedding; "
        f"width {protocol.width}, {protocol.heads} head{'s' if protocol.heads > 1 else ''}, "
        f"Dk = Dv = {head}."
    )
    yield (
        "Before the kernel: q, k and v from a linear map, a causal depthwise convolution over 4 positions and SiLU; "
        "then q and k are L2-normalised. beta is the sigmoid of a linear map."
    )
    yield (
        "After the kernel: RMSNorm over Dv of each position's o, then a linear map. The overall scale of o is lost; "
        "the balance between its terms (`o_inter`, `attn @ u_i`, whatever you add) is what counts."
    )
    yield (
        f"Scales: the kernel multiplies q by Dk**-0.5, so a raw score is at most {head**-0.5:.3f}. A softmax over raw "
        "scores is therefore nearly flat; over cosines times a sharpness it is not. The raw part and the read of S "
        "both carry the factor Dk**-0.5: weights that sum to 1 are on another scale than they."
    )
    yield (
        "u and w are solved for exactly one write, S + k_i.mT @ u_i. Whatever writes something else gives up the exact "
        "delta rule from the next chunk on; with a single chunk nothing is given up, and nothing gained. To write "
        "something else exactly, solve a system of its own in the loop, with a state of its own if need be."
    )


def judgement_lines(name: str) -> tuple[str, ...]:
    """How a variant is judged under the protocol."""
    protocol = PROTOCOLS.get(name)
    if protocol is None:
        return ()
    seeds = len(protocol.seeds)
    judged = (
        f"{seeds} seeds, paired with the parent's: same data, initialisation and order. Better or worse on a task "
        "means that the 95 % interval of the mean difference excludes 0; all else is noise."
        if seeds > 1
        else "One seed: no difference can be told from noise under this protocol."
    )
    return (
        judged,
        "A kernel that gives a known variant's outputs on probe inputs is a DUPLICATE and is not trained. A mechanism "
        "that never takes effect at the sizes above (a cap that nothing reaches, a gate that stays open) measures as "
        "its parent: choose constants that bite.",
        "On a task that the change cannot reach, the parent's score is inherited: predict it exactly.",
        "A proposal is stopped (PRUNED) once it is unlikely to end ahead of its parent by more than noise. That "
        "refutes no idea: near the goals hardly anything can be ahead by so much, and small gains may add up.",
    )


def left_lines(left: Left | None) -> tuple[str, ...]:
    """What the search may still spend, in a sentence; none where no search asks."""
    if left is None:
        return ()
    limits = [f"{left.minutes:.0f} minutes"] if left.minutes is not None else []
    limits += [f"{left.cpu_seconds:.0f} CPU-seconds of training"] if left.cpu_seconds is not None else []
    within = f", within {' and '.join(limits)}" if limits else ""
    return (f"Left to this search: {counted(left.proposals, 'proposal')}, yours among them{within}.",)
