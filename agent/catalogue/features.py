"""Slot `features`: what q and k become before the scores inside the chunk. The state keeps the plain ones."""

from typing import ClassVar, Literal

from agent.catalogue.mechanism import Mechanism, grid


class FeatureMechanism(Mechanism):
    """Code that sets the names in `attention`, which the scores then use."""

    first_chunk: ClassVar[bool] = True
    attention: ClassVar[tuple[str, str]] = ("q_a", "k_a")


class NormalizeKeys(FeatureMechanism):
    """L2-normalised keys in the scores and in the update."""

    mechanism: Literal["normalize_keys"] = "normalize_keys"
    no_op: ClassVar[bool] = True
    attention: ClassVar[tuple[str, str]] = ("q_i", "k_i")
    idea: ClassVar[str] = "normalize_keys"
    formula: ClassVar[str] = "k_i ← k_i / ‖k_i‖"
    why: ClassVar[str] = "Similarity becomes purely angular; keys that arrive normalised make this the baseline."
    code: ClassVar[str] = "k_i = F.normalize(k_i, dim=-1, eps=1e-6)"


class LayerNormQK(FeatureMechanism):
    """LayerNorm on q and k before the scores inside the chunk."""

    mechanism: Literal["layernorm_qk"] = "layernorm_qk"
    idea: ClassVar[str] = "layernorm_qk_before_attention"
    formula: ClassVar[str] = "q_a = LN(q_i) / √Dk,    k_a = LN(k_i)"
    why: ClassVar[str] = "Centred features of unit variance spread the scores over a wider range than unit vectors do."
    code: ClassVar[str] = "q_a, k_a = F.layer_norm(q_i, (Dk,)) * Dk**-0.5, F.layer_norm(k_i, (Dk,))"


class RopeQK(FeatureMechanism):
    """Rotary position embedding of q and k in the scores inside the chunk."""

    mechanism: Literal["rope_qk"] = "rope_qk"
    base: float = grid(10000, 100, 1000, 10000)
    idea: ClassVar[str] = "rope_qk"
    formula: ClassVar[str] = "q_a = R(t) q_t,    k_a = R(j) k_j,    base {base} (arXiv 2104.09864)"
    why: ClassVar[str] = "Scores can tell how far back a match lies, which the delta rule alone cannot."
    code: ClassVar[str] = """
        half = Dk // 2
        angle = torch.arange(chunk_size, device=q.device, dtype=q.dtype)[:, None] * {base}.0 ** (
            -torch.arange(half, device=q.device, dtype=q.dtype) / max(half, 1)
        )  # [C, Dk/2]
        q_1, q_2, q_rest = q_i.split([half, half, Dk - 2 * half], -1)
        k_1, k_2, k_rest = k_i.split([half, half, Dk - 2 * half], -1)
        cos, sin = angle.cos(), angle.sin()
        q_a = torch.cat([q_1 * cos - q_2 * sin, q_1 * sin + q_2 * cos, q_rest], -1)
        k_a = torch.cat([k_1 * cos - k_2 * sin, k_1 * sin + k_2 * cos, k_rest], -1)
    """


class BigramQK(FeatureMechanism):
    """Each q and k mixed with its predecessor in the chunk, before the scores."""

    mechanism: Literal["bigram_qk"] = "bigram_qk"
    weight: float = grid(0.5, 0.25, 0.5, 1)
    idea: ClassVar[str] = "bigram_qk"
    formula: ClassVar[str] = "q_a = q_t + {weight_x}q_{{t-1}},    k_a = k_j + {weight_x}k_{{j-1}}"
    why: ClassVar[str] = (
        "Fuzzy Recall asks for keys of up to three tokens; a match of two in a row is worth more than one."
    )
    code: ClassVar[str] = """
        q_a = q_i + {weight_times}F.pad(q_i, (0, 0, 1, -1))
        k_a = k_i + {weight_times}F.pad(k_i, (0, 0, 1, -1))
    """


class SignedPowerQK(FeatureMechanism):
    """Signed elementwise power of q and k before the scores."""

    mechanism: Literal["signed_power_qk"] = "signed_power_qk"
    power: float = grid(2, 1.5, 2, 3)
    idea: ClassVar[str] = "signed_power_qk"
    formula: ClassVar[str] = "x ← sign(x) |x|^{power},    rescaled to its former norm,    x = q_i, k_i"
    why: ClassVar[str] = "Large features dominate the match, so that keys which share only small ones interfere less."
    code: ClassVar[str] = """
        q_a = F.normalize(q_i * (q_i.abs() + 1e-6) ** {extra}, dim=-1, eps=1e-6) * q_i.norm(dim=-1, keepdim=True)
        k_a = F.normalize(k_i * (k_i.abs() + 1e-6) ** {extra}, dim=-1, eps=1e-6) * k_i.norm(dim=-1, keepdim=True)
    """

    def fill(self, text: str, **names: str) -> str:
        """The power's part above the factor that keeps the sign, too."""
        return super().fill(text, extra=f"{self.power - 1:g}", **names)


class CentredKeys(FeatureMechanism):
    """Keys less the mean of the keys so far in the chunk, before the scores."""

    mechanism: Literal["centred_keys"] = "centred_keys"
    attention: ClassVar[tuple[str, str]] = ("q_i", "k_a")
    idea: ClassVar[str] = "centred_keys"
    formula: ClassVar[str] = "k_a = k_j - mean_{{s≤j}} k_s"
    why: ClassVar[str] = (
        "SiLU makes features mostly positive, so that all keys share a direction that tells nothing apart."
    )
    code: ClassVar[str] = """
        seen = torch.arange(1, chunk_size + 1, device=q.device, dtype=q.dtype)[:, None]  # [C, 1]
        k_a = k_i - k_i.cumsum(-2) / seen
    """


Features = NormalizeKeys | LayerNormQK | RopeQK | BigramQK | SignedPowerQK | CentredKeys
