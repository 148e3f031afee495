"""Slot `decay`: how much of the state S is left before the chunk's update is added."""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import Mechanism, grid


class DecayMechanism(Mechanism):
    """Code that may set `forget`; `factor` multiplies S."""

    factor: ClassVar[str] = "forget"


class ConstantDecay(DecayMechanism):
    """A constant decay of the state, once per chunk."""

    mechanism: Literal["constant_decay"] = "constant_decay"
    rate: float = grid(0.99, 0.9, 0.95, 0.98, 0.99, 0.995)
    factor: ClassVar[str] = "{rate}"
    idea: ClassVar[str] = "decay_state_update"
    formula: ClassVar[str] = "S ← {rate} S + …"
    why: ClassVar[str] = "The state cannot grow without bound, and what was written long ago makes room."


class ErrorForget(DecayMechanism):
    """A forget gate on the state, set by the mean error of the chunk."""

    mechanism: Literal["error_forget"] = "error_forget"
    idea: ClassVar[str] = "sigmoid_error_forget_gate_state_update"
    formula: ClassVar[str] = "S ← f S + …,    f = 2 σ(-mean_t ‖u_t‖)"
    why: ClassVar[str] = "A memory that predicts badly is worth less than the data that corrects it."
    code: ClassVar[str] = """
        error = u_i.norm(dim=-1).sum(-1) / min(chunk_size, L - i * chunk_size)  # mean over real positions, [B, H]
        forget = 2 * (-error).sigmoid()[..., None, None]
    """


class BetaDecay(DecayMechanism):
    """A decay of the state by what the chunk writes."""

    mechanism: Literal["beta_decay"] = "beta_decay"
    rate: float = grid(0.01, 0.001, 0.003, 0.01, 0.03, 0.1)
    idea: ClassVar[str] = "beta_decay_state_update"
    formula: ClassVar[str] = "S ← exp(-{rate} Σ_t β_t) S + …"
    why: ClassVar[str] = (
        "The gated rule learns its decay from data; beta is the learned gate at hand, and blanks leave the state alone."
    )
    code: ClassVar[str] = "forget = (-{rate} * beta[:, :, i].sum(-1))[..., None, None].exp()  # [B, H, 1, 1]"


class KeyDecay(DecayMechanism):
    """A decay of each row of the state by how much the chunk's keys use it."""

    mechanism: Literal["key_decay"] = "key_decay"
    rate: float = grid(0.03, 0.01, 0.03, 0.1, 0.3)
    idea: ClassVar[str] = "key_decay_state_update"
    formula: ClassVar[str] = "S ← diag(exp(-{rate} Σ_t β_t k_t²)) S + …"
    why: ClassVar[str] = "Room is made only in the directions that are being written, so that other bindings survive."
    code: ClassVar[str] = """
        use = (beta[:, :, i, :, None] * k_i.square()).sum(-2)  # [B, H, Dk]
        forget = (-{rate} * use)[..., None].exp()  # [B, H, Dk, 1]
    """


class RelativeErrorDecay(DecayMechanism):
    """A decay of the state by the share of the chunk's values that it failed to predict."""

    mechanism: Literal["relative_error_decay"] = "relative_error_decay"
    rate: float = grid(0.1, 0.03, 0.1, 0.3)
    idea: ClassVar[str] = "relative_error_decay"
    formula: ClassVar[str] = "S ← exp(-{rate} r) S + …,    r = Σ‖u_t‖² / (Σ‖u_t‖² + Σ‖v_t‖²)"
    why: ClassVar[str] = "Forgetting follows surprise whatever the scale of the values, and stays within a known bound."
    code: ClassVar[str] = """
        missed, value = u_i.square().sum((-2, -1)), v[:, :, i].square().sum((-2, -1))  # [B, H]
        forget = (-{rate} * missed / (missed + value + 1e-6))[..., None, None].exp()
    """


class NormDecay(DecayMechanism):
    """A decay of the state that grows with its norm."""

    mechanism: Literal["norm_decay"] = "norm_decay"
    rate: float = grid(0.03, 0.01, 0.03, 0.1)
    idea: ClassVar[str] = "norm_decay_state_update"
    formula: ClassVar[str] = "S ← S / √(1 + {rate} ‖S‖_F² / Dk) + …"
    why: ClassVar[str] = (
        "A nearly empty memory forgets nothing; a crowded one makes room smoothly, with no cliff as at a hard cap."
    )
    code: ClassVar[str] = "forget = (1 + {rate} * S.square().sum((-2, -1), keepdim=True) / Dk).rsqrt()  # [B, H, 1, 1]"


Decays = ConstantDecay | ErrorForget | BetaDecay | KeyDecay | RelativeErrorDecay | NormDecay
