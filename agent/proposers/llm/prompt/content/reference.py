"""What the reference computes that a variant cannot: its kernel in a formula, and what its layer learns beside it."""

from evaluator.protocols.built_in import PROTOCOLS
from evaluator.protocols.protocol import Protocol
from variants.contract import BASELINE, REFERENCE, Layer


def reference_lines(name: str) -> tuple[str, ...]:
    """Sentences on the reference under a protocol; empty for an unknown one."""
    protocol = PROTOCOLS.get(name)
    if protocol is None:
        return ()
    more = further_parameters(protocol)
    return (
        f"`{REFERENCE}` (arXiv 2412.06464) is another layer, and its kernel gets a further input g, at most 0, one per "
        "head and position: S_t = exp(g_t) (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T, o_t = S_t^T q_t Dk**-0.5."
        " The decay acts at every position, inside the chunk too: a write at j counts exp(g_{j+1} + ... + g_t) at t.",
        "Its decay is learnt and depends on the token: g = -exp(A) softplus(w x + dt), with trained w, A and dt; it "
        "starts near 0, forgetting 0.1 to 10 % a token. After the norm, its output is multiplied by a learnt gate, "
        "silu(W x + b), open at the start.",
        f"That is {more:,} trained parameters more than `{BASELINE}` has, in {protocol.blocks} blocks. A variant has "
        "none of its own: what it adds must follow from q, k, v, beta and constants.",
    )


def further_parameters(protocol: Protocol) -> int:
    """How many trained parameters the reference's mixers have beyond the baseline's, over all blocks."""
    more = protocol.mixer_parameters(Layer.GATED_DELTA_NET) - protocol.mixer_parameters(Layer.DELTA_NET)
    return protocol.blocks * more
