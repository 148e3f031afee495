"""The two models of MAD: a language model, and for Compress an autoencoder."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluator.kernel import Kernel
from evaluator.model.config import ModelConfig
from evaluator.model.functional import along
from evaluator.model.layers import Initialised, Linear, RMSNorm, SwiGLU
from evaluator.model.mixers import MIXERS

EMBEDDING_STD = 0.02


class Embedding(Initialised):
    """Tokens `[*M, B, L]` -> `[*M, B, L, W]`, N(0, 0.02)."""

    def __init__(self, vocabulary: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, width))

    def reset(self, generator: torch.Generator) -> None:
        """Draw the table."""
        with torch.no_grad():
            self.weight.normal_(0.0, EMBEDDING_STD, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Look up."""
        if self.weight.dim() == 2:
            return F.embedding(tokens, self.weight)
        members, vocabulary, _ = self.weight.shape
        first = vocabulary * torch.arange(members, device=tokens.device)[:, None, None]
        return F.embedding(tokens + first, self.weight.flatten(0, 1))


class ReadOut(Initialised):
    """RMSNorm, then linear with bias: `[..., W]` -> logits `[..., V]`."""

    def __init__(self, config: ModelConfig, std: float | None = None):
        super().__init__()
        self.norm = RMSNorm(config.width)
        self.linear = Linear(config.width, config.vocabulary, std)
        self.bias = nn.Parameter(torch.empty(config.vocabulary))

    def reset(self, generator: torch.Generator) -> None:
        """Set the bias to 0."""
        nn.init.zeros_(self.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply."""
        logits: Tensor = self.linear(self.norm(hidden)) + along(self.bias, hidden)
        return logits


class Residual(nn.Module):
    """x + layer(norm(x))."""

    def __init__(self, width: int, layer: nn.Module):
        super().__init__()
        self.norm = RMSNorm(width)
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Apply."""
        out: Tensor = x + self.layer(self.norm(x))
        return out


class LanguageModel(nn.Module):
    """Embedding, residual pre-norm layers (mixer, SwiGLU, mixer, SwiGLU), read-out. No positions, no dropout.

    The kernel holds no parameters: models with different kernels and the same config share their state dict's keys.
    """

    linear_std: float | None = None

    def __init__(self, config: ModelConfig, kernel: Kernel):
        super().__init__()
        width, std = config.width, self.linear_std
        self.config = config
        self.embedding = Embedding(config.vocabulary, width)
        layers: list[nn.Module] = []
        for _ in range(config.blocks):
            layers.append(Residual(width, MIXERS[config.layer](width, config.mixer, kernel, std, config.chunk_size)))
            layers.append(Residual(width, SwiGLU(width, config.inner, std)))
        self.layers = nn.Sequential(*layers)
        self.read_out = ReadOut(config, std)

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens `[*M, B, L]` -> hidden states `[*M, B, L, W]`, causal in L."""
        hidden: Tensor = self.layers(self.embedding(tokens))
        return hidden

    def forward(self, tokens: Tensor, scored: Tensor | None = None) -> Tensor:
        """Logits `[n, V]` at the n positions where `scored` (`[B, L]` bool; None: everywhere) is true, row by row.

        With members: `[M, n, V]` at `scored` `[M, n]`, which for each member names n of its B * L positions.
        """
        logits: Tensor = self.read_out(_select(self.encode(tokens), scored))
        return logits


class AutoEncoder(LanguageModel):
    """The same layers as encoder; its last position, plus a fixed embedding per position, decoded to all positions."""

    linear_std = EMBEDDING_STD
    positions: Tensor

    def __init__(self, config: ModelConfig, kernel: Kernel):
        super().__init__(config, kernel)
        width = config.width
        self.register_buffer("positions", sinusoids(config.length, width), persistent=False)
        self.decoder = nn.Sequential(
            *(RMSNorm(width), Linear(width, width, self.linear_std), nn.GELU()),
            *(RMSNorm(width), Linear(width, width, self.linear_std), nn.GELU()),
        )

    def forward(self, tokens: Tensor, scored: Tensor | None = None) -> Tensor:
        """Logits `[n, V]` at the n scored positions, each made from the whole sequence."""
        return self.decode(self.encode(tokens), scored)

    def decode(self, hidden: Tensor, scored: Tensor | None = None) -> Tensor:
        """Logits `[n, V]` at the n scored positions from the encoder's hidden states `[B, L, W]`."""
        code = hidden[..., -1:, :] + self.positions
        logits: Tensor = self.read_out(self.decoder(_select(code, scored)))
        return logits


def _select(hidden: Tensor, scored: Tensor | None) -> Tensor:
    if scored is None:
        return hidden.flatten(-3, -2)
    if scored.dtype == torch.bool:
        return hidden[scored]
    return hidden.flatten(1, 2).gather(1, scored[:, :, None].expand(-1, -1, hidden.shape[-1]))


def scored_rows(scored: Tensor) -> Tensor:
    """For each member of `[M, B, L]` the scored ones of its B * L positions, filled up with unscored ones: `[M, n]`."""
    flat = scored.flatten(1)
    widest = int(flat.sum(1).max())
    return flat.long().argsort(dim=1, descending=True, stable=True)[:, :widest]


def sinusoids(length: int, width: int) -> Tensor:
    """Fixed position embedding `[length, width]`: sines, then cosines, of geometric wavelengths (arXiv 1706.03762)."""
    rates = 10_000 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


BACKBONES: dict[str, Callable[[ModelConfig, Kernel], LanguageModel]] = {
    "language_model": LanguageModel,
    "autoencoder": AutoEncoder,
}


def build(config: ModelConfig, kernel: Kernel) -> LanguageModel:
    """The model that a config describes, with parameters not yet drawn or loaded."""
    return BACKBONES[config.backbone](config, kernel)
