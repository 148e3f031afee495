"""Slot `write`: which part of the error reaches the state. The output has been written with the whole of it."""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import Mechanism, grid


class WriteMechanism(Mechanism):
    """Code that may set `gate` [B, H, C, 1]; `written` is the operand that stands for the error in the update."""

    written: ClassVar[str] = "(gate * u_i)"


class ErrorGate(WriteMechanism):
    """An update gated by the size of the error."""

    mechanism: Literal["error_gate"] = "error_gate"
    idea: ClassVar[str] = "error_gated_state_update"
    formula: ClassVar[str] = "written = σ(‖u_i‖) u_i"
    why: ClassVar[str] = "A surprise is written in full, a small correction at half strength."
    code: ClassVar[str] = "gate = u_i.norm(dim=-1, keepdim=True).sigmoid()  # [B, H, C, 1]"


class TopKError(WriteMechanism):
    """Only the positions of the largest errors are written."""

    mechanism: Literal["topk_error"] = "topk_error"
    divisor: int = grid(4, 2, 4, 8)
    written: ClassVar[str] = "u_i.masked_fill(size < smallest_kept, 0)"
    idea: ClassVar[str] = "topk_error_update"
    formula: ClassVar[str] = "written = top(u_i),    1/{divisor} of the chunk's positions, by the norm of their error"
    why: ClassVar[str] = "Sparse writes overlap less, and so interfere less."
    code: ClassVar[str] = """
        size = u_i.norm(dim=-1, keepdim=True)  # [B, H, C, 1]
        smallest_kept = size.topk(max(1, chunk_size // {divisor}), dim=-2).values[..., -1:, :]  # [B, H, 1, 1]
    """


class BetaGate(WriteMechanism):
    """An update weighted by beta once more."""

    mechanism: Literal["beta_gate"] = "beta_gate"
    power: float = grid(1, 0.5, 1, 2)
    idea: ClassVar[str] = "beta_gated_state_update"
    formula: ClassVar[str] = "written = β_t{power_exp} u_t"
    why: ClassVar[str] = (
        "What the layer marks as unimportant may help inside its chunk and still not enter long-term memory."
    )
    code: ClassVar[str] = "gate = beta[:, :, i, :, None].clamp(min=1e-6){power_power}  # [B, H, C, 1]"


class RecentWrite(WriteMechanism):
    """Errors fade by what the chunk writes after them."""

    mechanism: Literal["recent_write"] = "recent_write"
    rate: float = grid(0.03, 0.01, 0.03, 0.1)
    idea: ClassVar[str] = "recent_write_state_update"
    formula: ClassVar[str] = "written = exp(-{rate} Σ_{{s>t}} β_s) u_t,    s in the chunk"
    why: ClassVar[str] = (
        "A decay of the state should start inside the chunk: early writes age before they reach the state."
    )
    code: ClassVar[str] = """
        later = beta[:, :, i].sum(-1, keepdim=True) - beta[:, :, i].cumsum(-1)  # [B, H, C]
        gate = (-{rate} * later)[..., None].exp()  # [B, H, C, 1]
    """


class RobustWrite(WriteMechanism):
    """Errors weighted down the larger they are, as by a Cauchy likelihood."""

    mechanism: Literal["robust_write"] = "robust_write"
    scale: float = grid(2, 0.5, 1, 2, 4)
    idea: ClassVar[str] = "robust_state_update"
    formula: ClassVar[str] = "written = u_t / (1 + ‖u_t‖² / ({scale}² Dv))"
    why: ClassVar[str] = "Noise tokens give large errors that teach nothing; their pull on the state goes back to zero."
    code: ClassVar[str] = "gate = 1 / (1 + u_i.square().mean(-1, keepdim=True){over})  # [B, H, C, 1]"

    def fill(self, text: str, **names: str) -> str:
        """`{over}` divides by the square of the scale."""
        return super().fill(text, over="" if self.scale == 1 else f" / {self.scale**2:g}", **names)


class NovelKeyWrite(WriteMechanism):
    """Keys that repeat an earlier key of the chunk are written less."""

    mechanism: Literal["novel_key_write"] = "novel_key_write"
    power: float = grid(4, 2, 4, 8)
    idea: ClassVar[str] = "novel_key_state_update"
    formula: ClassVar[str] = "written = u_t / (1 + Σ_{{j<t}} β_j |k_tᵀ k_j|^{power}),    j in the chunk"
    why: ClassVar[str] = "Blanks and repeats crowd the state with copies of one key; the first of them says all."
    code: ClassVar[str] = """
        overlap = (k_i @ k_i.mT).abs().clamp(min=1e-6).tril(-1) ** {power}  # [B, H, C, C]
        gate = 1 / (1 + overlap @ beta[:, :, i, :, None])  # [B, H, C, 1]
    """


Writes = ErrorGate | TopKError | BetaGate | RecentWrite | RobustWrite | NovelKeyWrite
