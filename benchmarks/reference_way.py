"""The same model as the reference implementation calls it, for benchmarks: what archer's speed is measured against.

Every projection is a linear of its own, the convolution is PyTorch's with a group per channel, the kernel inverts its
triangular matrices row by row in place, and the read-out and the loss see every position. Same weights, same loss.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluator.model.backbones import LanguageModel
from evaluator.model.functional import NORM_EPS
from evaluator.tasks.examples import IGNORED

Weights = dict[str, Tensor]


def kernel_row_by_row(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
    """The chunkwise delta rule, (I + tril(beta k kᵀ, -1))⁻¹ by forward substitution in place."""
    B, H, L, Dk = q.shape
    pad = -L % chunk_size
    q, k, v = (F.pad(x, (0, 0, 0, pad)).unflatten(2, (-1, chunk_size)) for x in (q * Dk**-0.5, k, v))
    beta = F.pad(beta, (0, pad)).unflatten(2, (-1, chunk_size))[..., None]
    k_beta, v_beta = k * beta, v * beta
    upper = torch.ones(chunk_size, chunk_size, dtype=torch.bool).triu(0)
    inverse = -(k_beta @ k.mT).masked_fill(upper, 0)
    for row in range(1, chunk_size):
        above = (inverse[..., row, :, None].clone() * inverse[..., :, :row].clone()).sum(-2)
        inverse[..., row, :row] = inverse[..., row, :row] + above
    inverse = inverse + torch.eye(chunk_size)
    u, w = inverse @ v_beta, inverse @ k_beta
    S = q.new_zeros(B, H, Dk, v.shape[-1])
    o = torch.zeros_like(v)
    for i in range(q.shape[2]):
        q_i, k_i = q[:, :, i], k[:, :, i]
        attn = (q_i @ k_i.mT).masked_fill(upper.triu(1), 0)
        u_i = u[:, :, i] - w[:, :, i] @ S
        o[:, :, i] = q_i @ S + attn @ u_i
        S = S + k_i.mT @ u_i
    return o.flatten(2, 3)[:, :, :L], S


def parameters(model: LanguageModel) -> Weights:
    """A model's weights as the reference holds them: each projection apart."""
    found = {}
    for name, weight in model.state_dict().items():
        parts = {"qkv": 3, "convolution": 3, "w12": 2}.get(name.split(".")[-2], 1)
        pieces = weight.chunk(parts, 0 if name.split(".")[-2] != "convolution" else 1)
        for number, piece in enumerate(pieces):
            found[f"{name}/{number}"] = piece.detach().clone().requires_grad_()
    return found


def loss(model: LanguageModel, weights: Weights, inputs: Tensor, targets: Tensor) -> Tensor:
    """The training loss of the language model, or of Compress's autoencoder."""
    hidden = F.embedding(inputs, weights["embedding.weight/0"])
    for number in range(2 * model.config.blocks):
        normed = _norm(hidden, weights[f"layers.{number}.norm.weight/0"])
        part = {name.removeprefix(f"layers.{number}.layer."): weight for name, weight in weights.items()}
        hidden = hidden + (_swiglu(part, normed) if number % 2 else _mixer(part, normed, model))
    if model.config.backbone == "autoencoder":
        hidden = hidden[:, -1:] + model.positions
        for number in (0, 3):
            normed = _norm(hidden, weights[f"decoder.{number}.weight/0"])
            hidden = F.gelu(F.linear(normed, weights[f"decoder.{number + 1}.weight/0"]))
    normed = _norm(hidden, weights["read_out.norm.weight/0"])
    logits = F.linear(normed, weights["read_out.linear.weight/0"], weights["read_out.bias/0"])
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, weight.shape, weight, NORM_EPS)


def _swiglu(part: Weights, x: Tensor) -> Tensor:
    gate = F.silu(F.linear(x, part["w12.weight/0"]))
    return F.linear(gate * F.linear(x, part["w12.weight/1"]), part["w3.weight/0"])


def _mixer(part: Weights, x: Tensor, model: LanguageModel) -> Tensor:
    heads, length = model.config.heads, x.shape[1]
    found = []
    for number in range(3):
        projected = F.linear(x, part[f"qkv.weight/{number}"]).mT
        taps = part[f"convolution.weight/{number}"].mT[:, None]
        mixed = F.silu(F.conv1d(projected, taps, padding=3, groups=x.shape[2])[..., :length])
        found.append(mixed.mT.unflatten(2, (heads, -1)).transpose(1, 2))
    q, k, v = found
    beta = torch.sigmoid(F.linear(x, part["beta.weight/0"])).mT
    o, _ = kernel_row_by_row(F.normalize(q, dim=-1), F.normalize(k, dim=-1), v, beta, model.config.chunk_size)
    return F.linear(_norm(o.transpose(1, 2), part["norm.weight/0"]).flatten(2), part["out.weight/0"])
