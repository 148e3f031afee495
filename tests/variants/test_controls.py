"""The controls: kernels that read no memory, whatever the other positions hold."""

import importlib.util
from pathlib import Path

import pytest
import torch

import variants.controls
from variants.controls import OWN_VALUE, ZERO, controls


def kernel(name: str):
    path = Path(variants.controls.__path__[0]) / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.delta_rule_chunkwise


@pytest.mark.parametrize(("control", "share"), [(OWN_VALUE, 1.0), (ZERO, 0.0)])
@pytest.mark.parametrize("length", [1, 32, 45])
def test_a_control_outputs_its_share_of_the_own_value_and_keeps_no_state(
    control: str, share: float, length: int
) -> None:
    q, k = torch.randn(2, 3, length, 8), torch.randn(2, 3, length, 8)
    v, beta = torch.randn(2, 3, length, 5), torch.rand(2, 3, length)
    o, S = kernel(control)(q, k, v, beta)
    assert torch.equal(o, share * v)
    assert torch.equal(S, torch.zeros(2, 3, 8, 5))


def test_there_are_two_in_the_mixer_of_the_baseline() -> None:
    assert list(controls()) == [OWN_VALUE, ZERO]
    assert {own.layer for own in controls().values()} == {"delta_net"}
