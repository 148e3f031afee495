"""Slots `state` (what holds for S after its update) and `readout` (how the chunk reads the state it starts from).

A read-out gives zero where the state is zero, so neither slot can change the first chunk.
"""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import Mechanism, grid


class FrobeniusBall(Mechanism):
    """The state projected onto a Frobenius ball after every update."""

    mechanism: Literal["frobenius_ball"] = "frobenius_ball"
    radius: float = grid(1, 0.25, 0.5, 1)
    idea: ClassVar[str] = "frobenius_renorm_state_update"
    formula: ClassVar[str] = "S ← S min(1, {radius_x}√(Dk Dv) / ‖S‖_F)"
    why: ClassVar[str] = "Growth is bounded and the direction of what is stored is kept."
    code: ClassVar[str] = """
        radius = {radius_times}(Dk * Dv) ** 0.5
        S = S * (radius / S.norm(dim=(-2, -1), keepdim=True).clamp(min=radius))
    """


class RowBall(Mechanism):
    """Each row of the state capped in norm after every update."""

    mechanism: Literal["row_ball"] = "row_ball"
    radius: float = grid(1, 0.25, 0.5, 1)
    idea: ClassVar[str] = "row_renorm_state_update"
    formula: ClassVar[str] = "S_d ← S_d min(1, {radius_x}√Dv / ‖S_d‖),    rows d of S"
    why: ClassVar[str] = (
        "Only the key features that have grown too loud are turned down, not the whole memory with them."
    )
    code: ClassVar[str] = """
        radius = {radius_times}Dv**0.5
        S = S * (radius / S.norm(dim=-1, keepdim=True).clamp(min=radius))
    """


class SoftCap(Mechanism):
    """Entries of the state capped smoothly after every update."""

    mechanism: Literal["soft_cap"] = "soft_cap"
    bound: float = grid(4, 1, 2, 4, 8)
    idea: ClassVar[str] = "soft_capped_state_update"
    formula: ClassVar[str] = "S ← {bound_x}tanh(S{bound_over})"
    why: ClassVar[str] = (
        "No single cell can dominate a read, and cells well below the bound are as the delta rule left them."
    )
    code: ClassVar[str] = "S = {bound_times}torch.tanh(S{bound_over})"


class ReadoutMechanism(Mechanism):
    """Code that sets `o_inter` [B, H, C, Dv] from q_i, S and carried state."""


class PreviousChunk(ReadoutMechanism):
    """Sharp attention to the errors of the previous chunk, beside the state."""

    mechanism: Literal["previous_chunk"] = "previous_chunk"
    sharpness: float = grid(4, 1, 4, 8, 16)
    weight: float = grid(0.5, 0.25, 0.5, 1)
    idea: ClassVar[str] = "previous_chunk_attention"
    formula: ClassVar[str] = (
        "o_inter = q_i S + {weight_x}softmax(0, {sharpness_x}q_i k_{{i-1}}ᵀ) u_{{i-1}},    with a sink of score 0"
    )
    why: ClassVar[str] = (
        "Scores inside the chunk help only while the match is in it; one chunk more doubles that reach at linear cost."
    )
    carry: ClassVar[str] = "k_before, u_before = torch.zeros_like(k_n[0]), torch.zeros_like(u_n[0])"
    code: ClassVar[str] = """
        before = F.pad({sharpness_times}q_i @ k_before.mT, (1, 0)).softmax(-1)[..., 1:]  # the pad is a sink
        o_inter = q_i @ S + {weight_times}before @ u_before  # [B, H, C, Dv]
    """
    after: ClassVar[str] = "k_before, u_before = k_i, u_i"


class SlowState(ReadoutMechanism):
    """A slow average of the state, read beside it."""

    mechanism: Literal["slow_state"] = "slow_state"
    rate: float = grid(0.5, 0.5, 0.8, 0.9)
    weight: float = grid(0.5, 0.1, 0.25, 0.5)
    idea: ClassVar[str] = "slow_state_readout"
    formula: ClassVar[str] = "o_inter = q_i ({rest} S + {weight} R),    R ← {rate} R + {slow} S"
    why: ClassVar[str] = (
        "Averaged iterates are steadier than the last one: noise of recent chunks cancels, lasting bindings stay."
    )
    carry: ClassVar[str] = "R = torch.zeros_like(S)"
    code: ClassVar[str] = "o_inter = q_i @ ({rest} * S + {weight} * R)  # [B, H, C, Dv]"
    after: ClassVar[str] = "R = {rate} * R + {slow} * S"

    def fill(self, text: str, **names: str) -> str:
        """`{rest}` and `{slow}` complete the two weights to one."""
        return super().fill(text, rest=f"{1 - self.weight:g}", slow=f"{1 - self.rate:g}", **names)


class FamiliarRead(ReadoutMechanism):
    """Reads of the state damped for queries unlike any key written before."""

    mechanism: Literal["familiar_read"] = "familiar_read"
    scale: float = grid(1, 0.3, 1, 3)
    idea: ClassVar[str] = "familiarity_gated_readout"
    formula: ClassVar[str] = "o_inter = f/({scale}+f) q_i S,    f = qᵀ (Σ_t β_t k_t k_tᵀ) q,    q = √Dk q_i"
    why: ClassVar[str] = (
        "A query whose key was never written reads only interference; recall tasks would rather have silence."
    )
    carry: ClassVar[str] = "K = q.new_zeros(B, H, Dk, Dk)"
    code: ClassVar[str] = """
        familiar = Dk * (q_i @ K * q_i).sum(-1, keepdim=True)  # [B, H, C, 1]
        o_inter = familiar / ({scale} + familiar) * (q_i @ S)  # [B, H, C, Dv]
    """
    after: ClassVar[str] = "K = K + k_i.mT @ (beta[:, :, i, :, None] * k_i)"


class CappedRead(ReadoutMechanism):
    """Reads of the state capped in size."""

    mechanism: Literal["capped_read"] = "capped_read"
    radius: float = grid(1, 0.25, 0.5, 1)
    idea: ClassVar[str] = "capped_readout"
    formula: ClassVar[str] = "o_inter = q_i S min(1, {radius_x}√(Dv / Dk) / ‖q_i S‖)"
    why: ClassVar[str] = (
        "Interference shows as reads larger than any stored value; capping them keeps the chunk's own scores in play."
    )
    code: ClassVar[str] = """
        o_inter = q_i @ S  # [B, H, C, Dv]
        radius = {radius_times}(Dv / Dk) ** 0.5
        o_inter = o_inter * (radius / o_inter.norm(dim=-1, keepdim=True).clamp(min=radius))
    """


States = FrobeniusBall | RowBall | SoftCap


class DecayedRead(ReadoutMechanism):
    """Reads of the state that fade by what the chunk has written since it began."""

    mechanism: Literal["decayed_read"] = "decayed_read"
    rate: float = grid(0.03, 0.003, 0.01, 0.03, 0.1)
    idea: ClassVar[str] = "decayed_readout"
    formula: ClassVar[str] = "o_inter = exp(-{rate} Σ_{{s≤t}} β_s) q_i S"
    why: ClassVar[str] = (
        "In the gated rule the state ages inside a chunk too; late positions of a chunk rely on it less."
    )
    code: ClassVar[str] = "o_inter = (-{rate} * beta[:, :, i].cumsum(-1))[..., None].exp() * (q_i @ S)  # [B, H, C, Dv]"


Readouts = PreviousChunk | SlowState | FamiliarRead | CappedRead | DecayedRead
