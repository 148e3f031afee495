"""What structure rules out, before anything is trained."""

from agent.words import listed
from evaluator.protocols.built_in import single_chunk_tasks


def structure_lines(protocol: str) -> tuple[str, ...]:
    """Sentences on what no change of the state can reach, and on what arrives at the kernel."""
    lines = []
    single = single_chunk_tasks(protocol)
    if single:
        lines.append(
            f"{listed(list(single))}: a sequence fits into one chunk. S is zero until it ends, so "
            "no change of the state, its decay, its update or its read-out can move the score there; only a change of "
            "`attn`, of `u_i` before the output, or of what is added to the output can."
        )
    lines.append(
        "q and k arrive L2-normalised, after a short convolution and SiLU; normalising k again is the baseline. "
        "beta lies in (0, 1) and is already part of u and w."
    )
    return tuple(lines)
