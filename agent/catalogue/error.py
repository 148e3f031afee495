"""Slot `error`: what the prediction error u_i [B, H, C, Dv] becomes before it is read and written."""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import Mechanism, grid


class ErrorMechanism(Mechanism):
    """Code that sets `u_i` again."""

    first_chunk: ClassVar[bool] = True


class Gelu(ErrorMechanism):
    """GELU on the prediction error, read and written."""

    mechanism: Literal["gelu"] = "gelu"
    idea: ClassVar[str] = "gelu_on_prediction_error"
    formula: ClassVar[str] = "u_i ← GELU(u_i)"
    why: ClassVar[str] = "Small and negative parts of an error, often noise, are suppressed."
    code: ClassVar[str] = "u_i = F.gelu(u_i)"


class L2Error(ErrorMechanism):
    """L2-normalised errors, read and written."""

    mechanism: Literal["l2_error"] = "l2_error"
    idea: ClassVar[str] = "l2_normalized_error_state_update"
    formula: ClassVar[str] = "u_i ← u_i / (‖u_i‖ + ε)"
    why: ClassVar[str] = (
        "The direction of an error is kept and its size is not: no position can overwrite the memory on its own."
    )
    code: ClassVar[str] = "u_i = u_i / (u_i.norm(dim=-1, keepdim=True) + 1e-6)"


class TanhError(ErrorMechanism):
    """Errors bounded elementwise by tanh."""

    mechanism: Literal["tanh_error"] = "tanh_error"
    bound: float = grid(1, 0.25, 0.5, 1, 2)
    idea: ClassVar[str] = "tanh_error"
    formula: ClassVar[str] = "u_i ← {bound_x}tanh(u_i{bound_over})"
    why: ClassVar[str] = (
        "Small errors stay exact, outliers saturate: the delta rule where it is reliable, robust where it is not."
    )
    code: ClassVar[str] = "u_i = {bound_times}torch.tanh(u_i{bound_over})"


class ClippedError(ErrorMechanism):
    """Errors clipped to a norm."""

    mechanism: Literal["clipped_error"] = "clipped_error"
    radius: float = grid(1, 0.25, 0.5, 1, 2)
    idea: ClassVar[str] = "clipped_error"
    formula: ClassVar[str] = "u_i ← u_i min(1, {radius} √Dv / ‖u_i‖)"
    why: ClassVar[str] = (
        "As in Huber's loss, the pull of an outlier is bounded; unlike a normalised error, small ones stay small."
    )
    code: ClassVar[str] = """
        radius = {radius_times}Dv**0.5
        u_i = u_i * (radius / u_i.norm(dim=-1, keepdim=True).clamp(min=radius))
    """


class ShrunkError(ErrorMechanism):
    """Errors shrunk towards zero by a soft threshold."""

    mechanism: Literal["shrunk_error"] = "shrunk_error"
    threshold: float = grid(0.03, 0.01, 0.03, 0.1)
    idea: ClassVar[str] = "shrunk_error"
    formula: ClassVar[str] = "u_i ← sign(u_i) ReLU(|u_i| - {threshold})"
    why: ClassVar[str] = (
        "What is almost predicted already is left alone, so that repeats and blanks stop rewriting the memory."
    )
    code: ClassVar[str] = "u_i = F.softshrink(u_i, {threshold})"


Errors = Gelu | L2Error | TanhError | ClippedError | ShrunkError
