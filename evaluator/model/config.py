"""Sizes of a model and of its mixers: what a protocol fixes and a training builds."""

from typing import Literal, Self

from pydantic import Field, model_validator

from evaluator.values import Value
from variants.contract import CHUNK_SIZE, Layer

CONVOLUTION = 4
"""Tokens that a short convolution sees."""


class MixerShape(Value):
    """Sizes of a mixer: heads H, each with keys of Dk and values of Dv numbers; and how a gated one starts.

    decay_up_to: A of each head is drawn between 0 and this; 0 starts all of them at 1. open_gate: whether the output
    gate has a bias that starts it open.
    """

    heads: int = Field(ge=1)
    key_dim: int = Field(ge=1)
    value_dim: int = Field(ge=1)
    decay_up_to: float = Field(default=0.0, ge=0)
    open_gate: bool = True

    @property
    def keys(self) -> int:
        """Numbers in the keys of all heads."""
        return self.heads * self.key_dim

    @property
    def values(self) -> int:
        """Numbers in the values of all heads."""
        return self.heads * self.value_dim

    @property
    def state(self) -> int:
        """Numbers in the states of all heads, where each keeps one Dk x Dv matrix."""
        return self.keys * self.value_dim


WIDE = MixerShape(heads=6, key_dim=256, value_dim=512, decay_up_to=16.0, open_gate=False)
"""What flash-linear-attention's gated layer is where it is asked for a model's width alone (docs/results/gated.md)."""


def mixer_shape(layer: Layer, width: int, heads: int) -> MixerShape:
    """The shape of a layer's mixer in a model: keys and values of width / heads each, but for the wide one's.

    A of the drawn-decay layer is drawn as the wide one's is.
    """
    if layer is Layer.WIDE_GATED_DELTA_NET:
        return WIDE
    drawn_up_to = WIDE.decay_up_to if layer is Layer.DRAWN_DECAY_GATED_DELTA_NET else 0.0
    return MixerShape(heads=heads, key_dim=width // heads, value_dim=width // heads, decay_up_to=drawn_up_to)


def mixer_parameters(layer: Layer, width: int, shape: MixerShape) -> int:
    """Trained numbers of a mixer of `evaluator/model/mixers.py`, counted without building it."""
    mixed = 2 * shape.keys + shape.values
    projections = width * (mixed + shape.heads + shape.values)
    count = projections + CONVOLUTION * mixed + shape.value_dim
    if layer is not Layer.DELTA_NET:
        count += width * (shape.heads + shape.values) + 2 * shape.heads + shape.open_gate * shape.values
    return count


class ModelConfig(Value):
    """Shape of a model. `blocks`: pairs of a mixer and a SwiGLU; `length`: tokens fed."""

    backbone: Literal["language_model", "autoencoder"]
    layer: Layer
    vocabulary: int = Field(ge=2)
    length: int = Field(ge=1)
    width: int = Field(default=128, ge=2, multiple_of=2)
    heads: int = Field(default=1, ge=1)
    inner: int = Field(default=352, ge=1)
    blocks: int = Field(default=2, ge=1)
    chunk_size: int = Field(default=CHUNK_SIZE, ge=1)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads must divide width {self.width}, and {self.heads} does not")
        return self

    @property
    def mixer(self) -> MixerShape:
        """Sizes of the mixer."""
        return mixer_shape(self.layer, self.width, self.heads)

    @property
    def wider(self) -> float:
        """How many times as wide as the model its mixer's values are, at least 1: its memory and time go with it."""
        return max(1.0, self.mixer.values / self.width)
