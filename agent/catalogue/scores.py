"""Slot `scores`, first half: softmax and its kin inside the chunk. Code sets `attn` [B, H, C, C] from {q}, {k}."""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import Mechanism, grid


class ScoreMechanism(Mechanism):
    """Code that sets `attn`; `output`: a term that is added to the output."""

    first_chunk: ClassVar[bool] = True
    output: ClassVar[str] = ""


class SharpMechanism(ScoreMechanism):
    """Scores with a sharpness: q carries 1/√Dk, so that of unit vectors they span ±sharpness/√Dk."""

    sharpness: float = grid(1, 1, 2, 4, 8, 16)

    def fill(self, text: str, **names: str) -> str:
        """`{scaled}` is the sharpened score, in brackets where it has a factor."""
        scaled = "scores" if self.sharpness == 1 else f"({self.sharpness:g} * scores)"
        return super().fill(text, scaled=scaled, **names)


class Softmax(SharpMechanism):
    """Softmax scores inside the chunk."""

    mechanism: Literal["softmax"] = "softmax"
    idea: ClassVar[str] = "softmax_attention"
    formula: ClassVar[str] = "attn = softmax(mask({sharpness_x}{q} {k}ᵀ))"
    why: ClassVar[str] = "Sharper matching inside the chunk is what lifts Memorize most among the published rows."
    code: ClassVar[str] = """
        scores = {q} @ {k}.mT  # [B, H, C, C]
        attn = {scaled}.masked_fill(future, float("-inf")).softmax(-1)
    """


class CosineSoftmax(SharpMechanism):
    """Softmax over the cosine similarity of q and k inside the chunk."""

    mechanism: Literal["cosine_softmax"] = "cosine_softmax"
    idea: ClassVar[str] = "cosine_softmax_attention"
    formula: ClassVar[str] = "attn = softmax(mask({sharpness_x}cos({q}, {k})))"
    why: ClassVar[str] = "The spread of the scores no longer depends on the width of a head."
    code: ClassVar[str] = """
        scores = F.normalize({q}, dim=-1, eps=1e-6) @ F.normalize({k}, dim=-1, eps=1e-6).mT  # [B, H, C, C]
        attn = {scaled}.masked_fill(future, float("-inf")).softmax(-1)
    """


class Hybrid(SharpMechanism):
    """Softmax and raw scores inside the chunk, mixed in fixed parts."""

    mechanism: Literal["hybrid_softmax"] = "hybrid_softmax"
    weight: float = grid(0.5, 0.1, 0.25, 0.5, 0.75, 0.9)
    idea: ClassVar[str] = "hybrid_softmax_raw_attention"
    formula: ClassVar[str] = "attn = {weight} softmax(mask({sharpness_x}{q} {k}ᵀ)) + {rest} mask({q} {k}ᵀ)"
    why: ClassVar[str] = (
        "The raw part keeps the delta rule exact while the softmax part sharpens it: the best published Fuzzy Recall."
    )
    code: ClassVar[str] = """
        scores = {q} @ {k}.mT  # [B, H, C, C]
        softmax = {scaled}.masked_fill(future, float("-inf")).softmax(-1)
        attn = {weight} * softmax + {rest} * scores.masked_fill(future, 0)
    """

    def fill(self, text: str, **names: str) -> str:
        """`{rest}` is the share of the raw scores."""
        return super().fill(text, rest=f"{1 - self.weight:g}", **names)


class AdaptiveHybrid(SharpMechanism):
    """Softmax and raw scores inside the chunk, mixed by a gate that each query sets."""

    mechanism: Literal["adaptive_hybrid"] = "adaptive_hybrid"
    idea: ClassVar[str] = "adaptive_gated_softmax_attention"
    formula: ClassVar[str] = (
        "attn = g softmax({sharpness_x}s) + (1-g) s,    g_t = σ({sharpness_x}max_{{j≤t}} s_tj),    s = mask({q} {k}ᵀ)"
    )
    why: ClassVar[str] = "A query with a clear match takes the sharp scores, one without keeps the raw ones."
    code: ClassVar[str] = """
        scores = {q} @ {k}.mT  # [B, H, C, C]
        past = {scaled}.masked_fill(future, float("-inf"))
        gate = past.amax(-1, keepdim=True).sigmoid()  # [B, H, C, 1]
        attn = gate * past.softmax(-1) + (1 - gate) * scores.masked_fill(future, 0)
    """


class AddLocalSoftmax(SharpMechanism):
    """Softmax self-attention over the values of the chunk, added to the output."""

    mechanism: Literal["local_softmax"] = "local_softmax"
    weight: float = grid(1, 0.25, 0.5, 1)
    output: ClassVar[str] = "o_local"
    idea: ClassVar[str] = "add_local_softmax_self_attention"
    formula: ClassVar[str] = "o_i = q_i S + attn u_i + {weight_x}softmax(mask({sharpness_x}{q} {k}ᵀ)) β_i v_i"
    why: ClassVar[str] = (
        "The delta rule stays whole, and a second path reads the values themselves rather than the errors."
    )
    code: ClassVar[str] = """
        scores = {q} @ {k}.mT  # [B, H, C, C]
        attn = scores.masked_fill(future, 0)
        o_local = {weight_times}{scaled}.masked_fill(future, float("-inf")).softmax(-1) @ v_beta[:, :, i]
    """


class TopKSoftmax(SharpMechanism):
    """Softmax over the best-matching past positions of the chunk."""

    mechanism: Literal["topk_softmax"] = "topk_softmax"
    count: int = grid(8, 2, 4, 8, 16)
    idea: ClassVar[str] = "topk_softmax_attention"
    formula: ClassVar[str] = "attn = softmax(top{count}(mask({sharpness_x}{q} {k}ᵀ)))"
    why: ClassVar[str] = "A flat softmax spends weight on every past position; few matches leave none for noise."
    code: ClassVar[str] = """
        scores = ({sharpness_times}{q} @ {k}.mT).masked_fill(future, float("-inf"))  # [B, H, C, C]
        smallest_kept = scores.topk(min({count}, chunk_size), dim=-1).values[..., -1:]  # -inf where fewer are past
        attn = scores.masked_fill(scores < smallest_kept, float("-inf")).softmax(-1)
    """


class SinkSoftmax(SharpMechanism):
    """Softmax scores inside the chunk that may add up to less than one."""

    mechanism: Literal["sink_softmax"] = "sink_softmax"
    idea: ClassVar[str] = "sink_softmax_attention"
    formula: ClassVar[str] = "attn_tj = exp s_tj / (1 + Σ_{{l≤t}} exp s_tl),    s = mask({sharpness_x}{q} {k}ᵀ)"
    why: ClassVar[str] = (
        "A query without a match can attend to nothing, which plain softmax forbids and copying past blanks needs."
    )
    code: ClassVar[str] = """
        scores = {q} @ {k}.mT  # [B, H, C, C]
        past = {scaled}.masked_fill(future, float("-inf"))
        attn = F.pad(past, (1, 0)).softmax(-1)[..., 1:]  # the pad is a sink of score 0
    """


class BetaSoftmax(SharpMechanism):
    """Softmax scores inside the chunk, weighted by the beta of each position."""

    mechanism: Literal["beta_softmax"] = "beta_softmax"
    idea: ClassVar[str] = "beta_softmax_attention"
    formula: ClassVar[str] = "attn_tj ∝ β_j exp s_tj,    s = mask({sharpness_x}{q} {k}ᵀ)"
    why: ClassVar[str] = (
        "Blanks and noise that the layer writes weakly should be read weakly too, or softmax gives them equal weight."
    )
    code: ClassVar[str] = """
        scores = {sharpness_times}{q} @ {k}.mT + beta[:, :, i, None].clamp(min=1e-6).log()  # [B, H, C, C]
        attn = scores.masked_fill(future, float("-inf")).softmax(-1)
    """


class BetaHybrid(Hybrid):
    """Raw scores and softmax scores weighted by beta, mixed in fixed parts."""

    mechanism: Literal["beta_hybrid"] = "beta_hybrid"  # type: ignore[assignment]
    idea: ClassVar[str] = "beta_hybrid_attention"
    formula: ClassVar[str] = (
        "attn_tj = {weight} softmax_j(mask({sharpness_x}s_tj + log β_j)) + {rest} s_tj,    s = {q} {k}ᵀ"
    )
    why: ClassVar[str] = (
        "Hybrid scores win Fuzzy Recall but lose Selective Copy, where softmax attends to blanks; beta marks those."
    )
    code: ClassVar[str] = """
        scores = {q} @ {k}.mT  # [B, H, C, C]
        weighted = {sharpness_times}scores + beta[:, :, i, None].clamp(min=1e-6).log()
        softmax = weighted.masked_fill(future, float("-inf")).softmax(-1)
        attn = {weight} * softmax + {rest} * scores.masked_fill(future, 0)
    """
