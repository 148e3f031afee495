"""Kernels under test, from the source of their files, and inputs as a mixer would make them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from variants.contract import Layer
from variants.seeds import seed_variants

torch.set_num_threads(1)


@cache
def load(name: str) -> Callable[..., tuple[Tensor, Tensor]]:
    variant = seed_variants()[name]
    namespace: dict[str, Any] = {}
    exec(compile(variant.source, name, "exec"), namespace)
    kernel: Callable[..., tuple[Tensor, Tensor]] = namespace[variant.contract.function]
    return kernel


def draw(
    name: str = "delta_net_4layer",
    B: int = 2,
    H: int = 3,
    L: int = 70,
    Dk: int = 8,
    Dv: int = 5,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> list[Tensor]:
    """Inputs of the kernel, q and k L2-normalised, as leaves that need gradients."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    q, k = F.normalize(normal(B, H, L, Dk), dim=-1), F.normalize(normal(B, H, L, Dk), dim=-1)
    inputs = [q, k, normal(B, H, L, Dv), normal(B, H, L).sigmoid()]
    if seed_variants()[name].layer is Layer.GATED_DELTA_NET:
        inputs.append(F.logsigmoid(normal(B, H, L)))
    return [x.to(dtype).requires_grad_() for x in inputs]


@pytest.fixture
def kernel() -> Callable[[str], Callable[..., tuple[Tensor, Tensor]]]:
    return load


@pytest.fixture
def inputs() -> Callable[..., list[Tensor]]:
    return draw


def pytest_generate_tests(metafunc: Any) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", list(seed_variants()))
