"""The two references against a token-by-token recurrence in float64, outputs and gradients."""

import pytest
import torch

SHAPES = [(1, 1, 1, 4, 4), (2, 3, 31, 4, 6), (1, 2, 32, 8, 3), (2, 1, 33, 5, 5), (1, 2, 97, 7, 4)]


def recurrent(q, k, v, beta, g=None):
    B, H, L, Dk = q.shape
    S = q.new_zeros(B, H, Dk, v.shape[-1])
    outputs = []
    for t in range(L):
        if g is not None:
            S = g[:, :, t, None, None].exp() * S
        error = v[:, :, t] - torch.einsum("bhd,bhde->bhe", k[:, :, t], S)
        S = S + torch.einsum("bhd,bhe->bhde", k[:, :, t], beta[:, :, t, None] * error)
        outputs.append(torch.einsum("bhd,bhde->bhe", q[:, :, t] * Dk**-0.5, S))
    return torch.stack(outputs, 2), S


@pytest.mark.parametrize("reference", ["delta_net_4layer", "gated_delta_net_4layer"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("chunk_size", [1, 16, 32])
def test_chunkwise_equals_recurrent(kernel, inputs, reference, shape, chunk_size):
    given = inputs(reference, *shape)
    o, S = kernel(reference)(*given, chunk_size=chunk_size)
    o_slow, S_slow = recurrent(*given)
    torch.testing.assert_close(o, o_slow)
    torch.testing.assert_close(S, S_slow)

    weight_o, weight_S = torch.randn_like(o), torch.randn_like(S)
    fast = torch.autograd.grad((o * weight_o).sum() + (S * weight_S).sum(), given)
    slow = torch.autograd.grad((o_slow * weight_o).sum() + (S_slow * weight_S).sum(), given)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other)


def test_gated_without_decay_is_the_baseline(kernel, inputs):
    q, k, v, beta = inputs("delta_net_4layer", L=50)
    for one, other in zip(
        kernel("delta_net_4layer")(q, k, v, beta),
        kernel("gated_delta_net_4layer")(q, k, v, beta, torch.zeros_like(beta)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_gated_stands_a_decay_that_forgets_everything(kernel, inputs):
    given = inputs("gated_delta_net_4layer", L=50, dtype=torch.float32)
    given[-1] = torch.full_like(given[-1], -200.0, requires_grad=True)
    o, _ = kernel("gated_delta_net_4layer")(*given)
    assert all(x.isfinite().all() for x in (o, *torch.autograd.grad(o.sum(), given)))
