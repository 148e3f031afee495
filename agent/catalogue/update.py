"""Slot `update`: how the chunk's outer product {delta} = k_iᵀ u_i enters the (decayed) state {old}."""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import Mechanism, grid


class UpdateMechanism(Mechanism):
    """Code that sets S from `{old}` and `{delta}`."""


class Momentum(UpdateMechanism):
    """Momentum on the state: a moving average of the updates is written."""

    mechanism: Literal["momentum"] = "momentum"
    rate: float = grid(0.9, 0.1, 0.3, 0.5, 0.9)
    idea: ClassVar[str] = "momentum_state_update"
    formula: ClassVar[str] = "M ← {rate} M + {rest} k_iᵀ u_i,    S ← S + M"
    why: ClassVar[str] = "Updates that agree from chunk to chunk add up, single outliers average out."
    carry: ClassVar[str] = "M = torch.zeros_like(S)"
    code: ClassVar[str] = """
        M = {rate} * M + {rest} * {delta}  # [B, H, Dk, Dv]
        S = {old} + M
    """

    def fill(self, text: str, **names: str) -> str:
        """`{rest}` is the weight of the newest update."""
        return super().fill(text, rest=f"{1 - self.rate:g}", **names)


class Adam(UpdateMechanism):
    """Adam on the state: two running moments per memory cell."""

    mechanism: Literal["adam"] = "adam"
    idea: ClassVar[str] = "adam_state_update"
    formula: ClassVar[str] = "M ← 0.9 M + 0.1 G,    V ← 0.999 V + 0.001 G²,    S ← S + β̄ M̂ / √(V̂ + ε),    G = k_iᵀ u_i"
    why: ClassVar[str] = "Each memory cell gets a step size of its own."
    carry: ClassVar[str] = "M = V = torch.zeros_like(S)"
    code: ClassVar[str] = """
        G = {delta}  # [B, H, Dk, Dv]
        M = 0.9 * M + 0.1 * G
        V = 0.999 * V + 0.001 * G.square()
        M_hat, V_hat = M / (1 - 0.9 ** (i + 1)), V / (1 - 0.999 ** (i + 1))
        step = beta[:, :, i].sum(-1) / min(chunk_size, L - i * chunk_size)  # mean over real positions, [B, H]
        S = {old} + step[..., None, None] * M_hat / (V_hat + 1e-8).sqrt()
    """


class RMSProp(UpdateMechanism):
    """RMSProp on the state: a step size per memory cell."""

    mechanism: Literal["rmsprop"] = "rmsprop"
    rate: float = grid(0.9, 0.5, 0.9, 0.99)
    idea: ClassVar[str] = "rmsprop_state_update"
    formula: ClassVar[str] = "V ← {rate} V + {rest} G²,    S ← S + β̄ G / √(V + ε),    G = k_iᵀ u_i"
    why: ClassVar[str] = "Spikes are scaled down and rare small updates up."
    carry: ClassVar[str] = "V = torch.zeros_like(S)"
    code: ClassVar[str] = """
        G = {delta}  # [B, H, Dk, Dv]
        V = {rate} * V + {rest} * G.square()
        step = beta[:, :, i].sum(-1) / min(chunk_size, L - i * chunk_size)  # mean over real positions, [B, H]
        S = {old} + step[..., None, None] * G / (V + 1e-8).sqrt()
    """

    def fill(self, text: str, **names: str) -> str:
        """`{rest}` is the weight of the newest square."""
        return super().fill(text, rest=f"{1 - self.rate:g}", **names)


class LayerNormUpdate(UpdateMechanism):
    """LayerNorm and ReLU on the update of the state."""

    mechanism: Literal["layernorm_update"] = "layernorm_update"
    idea: ClassVar[str] = "layernorm_state_update"
    formula: ClassVar[str] = "S ← S + ReLU(LN(k_iᵀ u_i)),    LN over Dv"
    why: ClassVar[str] = "Updates of one size, and only their salient positive part."
    code: ClassVar[str] = """
        delta = {delta}  # [B, H, Dk, Dv]
        S = {old} + F.layer_norm(delta, (Dv,)).relu()
    """


class KeyAdagrad(UpdateMechanism):
    """A step size per row of the state, that falls with how often keys have used it."""

    mechanism: Literal["key_adagrad"] = "key_adagrad"
    rate: float = grid(0.1, 0.01, 0.03, 0.1, 0.3)
    idea: ClassVar[str] = "key_adagrad_state_update"
    formula: ClassVar[str] = "n ← n + Σ_t β_t k_t²,    S ← S + diag(1 / √(1 + {rate} n)) k_iᵀ u_i"
    why: ClassVar[str] = (
        "Rows that much has gone into settle, fresh ones learn fast; a step size that needs no moment of the error."
    )
    carry: ClassVar[str] = "usage = torch.zeros_like(S[..., 0])  # [B, H, Dk]"
    code: ClassVar[str] = """
        usage = usage + (beta[:, :, i, :, None] * k_i.square()).sum(-2)
        S = {old} + (1 + {rate} * usage)[..., None].rsqrt() * ({delta})
    """


class CappedUpdate(UpdateMechanism):
    """The chunk's update capped in norm, relative to the state it is added to."""

    mechanism: Literal["capped_update"] = "capped_update"
    ratio: float = grid(1, 0.5, 1, 2)
    idea: ClassVar[str] = "capped_state_update"
    formula: ClassVar[str] = "S ← S + Δ min(1, {ratio_x}(‖S‖_F + √(Dk Dv)) / ‖Δ‖_F),    Δ = k_iᵀ u_i"
    why: ClassVar[str] = "No chunk can overrun what all before it wrote: a trust region for the memory."
    code: ClassVar[str] = """
        delta = {delta}  # [B, H, Dk, Dv]
        room = S.norm(dim=(-2, -1), keepdim=True) + (Dk * Dv) ** 0.5  # [B, H, 1, 1]
        limit = {ratio_times}room
        S = {old} + delta * (limit / delta.norm(dim=(-2, -1), keepdim=True).maximum(limit))
    """


Updates = Momentum | Adam | RMSProp | LayerNormUpdate | KeyAdagrad | CappedUpdate
