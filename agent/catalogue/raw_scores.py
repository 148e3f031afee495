"""Slot `scores`, second half: scores inside the chunk that need no normalisation over the past."""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import grid
from agent.catalogue.scores import (
    AdaptiveHybrid,
    AddLocalSoftmax,
    BetaHybrid,
    BetaSoftmax,
    CosineSoftmax,
    Hybrid,
    ScoreMechanism,
    SharpMechanism,
    SinkSoftmax,
    Softmax,
    TopKSoftmax,
)


class SigmoidGate(SharpMechanism):
    """Scores inside the chunk gated by the sigmoid of their own value."""

    mechanism: Literal["sigmoid_gate"] = "sigmoid_gate"
    idea: ClassVar[str] = "sigmoid_similarity_gate"
    formula: ClassVar[str] = "attn = mask(s σ({sharpness_x}s)),    s = {q} {k}ᵀ"
    why: ClassVar[str] = "Opposed keys are damped, matching ones pass."
    code: ClassVar[str] = """
        scores = {q} @ {k}.mT  # [B, H, C, C]
        attn = (scores * {scaled}.sigmoid()).masked_fill(future, 0)
    """


class PowerScores(ScoreMechanism):
    """Scores inside the chunk sharpened by a power of their cosine."""

    mechanism: Literal["power_scores"] = "power_scores"
    power: float = grid(2, 1, 2, 4)
    idea: ClassVar[str] = "power_attention"
    formula: ClassVar[str] = "attn = mask({q} {k}ᵀ |cos({q}, {k})|{power_exp})"
    why: ClassVar[str] = (
        "A full match keeps its score and a partial one loses it: sharp as softmax, yet linear in the errors."
    )
    code: ClassVar[str] = """
        cosine = F.normalize({q}, dim=-1, eps=1e-6) @ F.normalize({k}, dim=-1, eps=1e-6).mT  # [B, H, C, C]
        attn = ({q} @ {k}.mT * cosine.abs().clamp(min=1e-6){power_power}).masked_fill(future, 0)
    """


class SquaredReluScores(SharpMechanism):
    """Squared ReLU of the scores inside the chunk."""

    mechanism: Literal["squared_relu"] = "squared_relu"
    idea: ClassVar[str] = "squared_relu_attention"
    formula: ClassVar[str] = "attn = mask(ReLU({sharpness_x}{q} {k}ᵀ)²)"
    why: ClassVar[str] = (
        "Sparse and sharp without a sum over the past, so that a long run of blanks does not dilute a match."
    )
    code: ClassVar[str] = """
        scores = {q} @ {k}.mT  # [B, H, C, C]
        attn = {scaled}.relu().square().masked_fill(future, 0)
    """


class RecencyScores(ScoreMechanism):
    """Scores inside the chunk that fade with distance."""

    mechanism: Literal["recency_scores"] = "recency_scores"
    rate: float = grid(0.03, 0.01, 0.03, 0.1, 0.3)
    idea: ClassVar[str] = "recency_attention"
    formula: ClassVar[str] = "attn_tj = exp(-{rate} (t-j)) {q} {k}ᵀ,    j ≤ t"
    why: ClassVar[str] = (
        "The gated rule also forgets inside a chunk; a fixed rate tells whether recency alone explains its gain."
    )
    code: ClassVar[str] = """
        position = torch.arange(chunk_size, device=q.device, dtype=q.dtype)
        fade = (-{rate} * (position[:, None] - position).clamp(min=0)).exp()  # [C, C]
        attn = ({q} @ {k}.mT * fade).masked_fill(future, 0)  # [B, H, C, C]
    """


class BetaDecayScores(ScoreMechanism):
    """Scores inside the chunk that fade with what has been written since."""

    mechanism: Literal["beta_decay_scores"] = "beta_decay_scores"
    rate: float = grid(0.03, 0.01, 0.03, 0.1, 0.3)
    idea: ClassVar[str] = "beta_decay_attention"
    formula: ClassVar[str] = "attn_tj = exp(-{rate} (b_t - b_j)) {q} {k}ᵀ,    b_t = Σ_{{s≤t}} β_s,    j ≤ t"
    why: ClassVar[str] = (
        "A data-dependent decay, the gated rule's own, taken from beta: blanks that are not written age nothing."
    )
    code: ClassVar[str] = """
        written = beta[:, :, i].cumsum(-1)  # [B, H, C]
        fade = (-{rate} * (written[..., :, None] - written[..., None, :]).clamp(min=0)).exp()
        attn = ({q} @ {k}.mT * fade).masked_fill(future, 0)  # [B, H, C, C]
    """


Scores = (
    Softmax
    | CosineSoftmax
    | Hybrid
    | AdaptiveHybrid
    | AddLocalSoftmax
    | TopKSoftmax
    | SinkSoftmax
    | BetaSoftmax
    | BetaHybrid
    | SigmoidGate
    | PowerScores
    | SquaredReluScores
    | RecencyScores
    | BetaDecayScores
)
