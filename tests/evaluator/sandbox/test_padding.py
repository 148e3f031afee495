"""Kernels that take whole chunks only are called with padding; all others as they are, bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.sandbox.padding import AnyLength, resized
from evaluator.sandbox.state_guard import Trace
from tests.evaluator.delta_rule import chunkwise, recurrent
from tests.evaluator.written import ANY_LENGTH, HEADER, WHOLE_CHUNKS, changed

LENGTHS = (1, 2, 31, 32, 33, 63, 64, 65, 100)
SHAPE = "    B, H, L, D = q.shape\n"
CHUNK = "    C = chunk_size\n"
WHOLE = {
    "reshape fails": WHOLE_CHUNKS,
    "asserts": changed(WHOLE_CHUNKS, (SHAPE, SHAPE + "    assert L % chunk_size == 0\n")),
    "asserts with a message": changed(
        WHOLE_CHUNKS, (SHAPE, SHAPE + "    assert not L % chunk_size, f'{L} % {chunk_size}'\n")
    ),
    "raises": changed(WHOLE_CHUNKS, (SHAPE, SHAPE + "    if L % chunk_size:\n        raise ValueError('no')\n")),
    "raises its own error": changed(
        WHOLE_CHUNKS,
        ("def delta", "class OddLength(Exception):\n    pass\n\n\ndef delta"),
        (SHAPE, SHAPE + "    if L % chunk_size:\n        raise OddLength\n"),
    ),
    "chunks of 64 of its own": changed(WHOLE_CHUNKS, (CHUNK, "    C = 64\n    assert L % C == 0\n")),
    "chunks of 128 of its own": changed(WHOLE_CHUNKS, (CHUNK, "    C = 128\n")),
    "powers of two": changed(WHOLE_CHUNKS, (SHAPE, SHAPE + "    assert L & (L - 1) == 0\n")),
    "a chunk at least": changed(ANY_LENGTH, (SHAPE, SHAPE + "    assert L >= chunk_size\n")),
    "pads and does not crop": changed(ANY_LENGTH, ("[:, :, : L - short]", "")),
    "crops to whole chunks": changed(
        WHOLE_CHUNKS,
        (
            SHAPE,
            SHAPE
            + "    L = L // chunk_size * chunk_size\n    q, k, v, beta = (x[:, :, :L] for x in (q, k, v, beta))\n",
        ),
    ),
}


def made(source: str) -> Kernel:
    namespace: dict[str, Any] = {}
    exec(HEADER + source, namespace)
    kernel: Kernel = namespace["delta_rule_chunkwise"]
    return kernel


def inputs(length: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(2, 3, length, 8, generator=generator, dtype=dtype) for _ in range(3))
    unit = torch.nn.functional.normalize
    return unit(q, dim=-1), unit(k, dim=-1), v, torch.rand(2, 3, length, generator=generator, dtype=dtype)


def whole(name: str, length: int) -> int:
    """The next length that a kernel takes."""
    if name == "a chunk at least":
        return max(length, 32)
    if name == "powers of two":
        return max(32, 1 << (length - 1).bit_length())
    size = {"chunks of 64 of its own": 64, "chunks of 128 of its own": 128}.get(name, 32)
    return length + -length % size


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", WHOLE)
def test_a_kernel_of_whole_chunks_takes_any_length(name: str, length: int) -> None:
    kernel, given = AnyLength(made(WHOLE[name])), inputs(length)
    o, S = kernel(*given)
    expected, state = recurrent(*given)
    torch.testing.assert_close(o, expected)
    torch.testing.assert_close(S, state)
    again, _ = kernel(*given)
    assert again.equal(o)
    assert kernel.fed_lengths.get((length, 32), length) == whole(name, length)


def test_it_says_which_length_it_was_called_with() -> None:
    kernel = AnyLength(made(WHOLE["asserts"]))
    for length in (32, 33, 100):
        kernel(*inputs(length))
    kernel(*inputs(33), chunk_size=16)
    assert kernel.fed_lengths == {(33, 32): 64, (100, 32): 128, (33, 16): 48}


@pytest.mark.parametrize("source", [WHOLE["asserts"], WHOLE["pads and does not crop"]])
def test_gradients_are_those_of_the_cropped_kernel(source: str) -> None:
    leaves = [x.requires_grad_() for x in inputs(45)]
    weights = torch.randn(2, 3, 45, 8, dtype=torch.float64)
    found, expected = (
        torch.autograd.grad((kernel(*leaves)[0] * weights).sum(), leaves)
        for kernel in (AnyLength(made(source)), recurrent)
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_kernel_that_takes_a_length_is_called_as_it_is(length: int) -> None:
    calls: list[int] = []

    def counted(*given: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        calls.append(given[0].shape[2])
        return chunkwise(*given, chunk_size=chunk_size)

    kernel, given = AnyLength(counted), inputs(length, torch.float32)
    (o, S), (alone, state) = kernel(*given), chunkwise(*given)
    assert o.equal(alone)
    assert S.equal(state)
    assert calls == [length]
    assert kernel.fed_lengths == {}


def fails(when: Callable[[int], bool]) -> Kernel:
    def kernel(*given: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        if when(given[0].shape[2]):
            raise RuntimeError(f"length {given[0].shape[2]}")
        return chunkwise(*given, chunk_size=chunk_size)

    return kernel


@pytest.mark.parametrize(
    "when",
    [lambda n: n == 33, lambda n: n < 2, lambda n: n >= 33, lambda n: True],
    ids=["33", "1", "from 33 on", "all"],
)
@pytest.mark.parametrize("length", [1, 33])
def test_what_padding_does_not_explain_fails_as_it_does(when: Callable[[int], bool], length: int) -> None:
    kernel, given = AnyLength(fails(when)), inputs(length)
    if not when(length):
        assert kernel(*given)[0].equal(chunkwise(*given)[0])
        return
    with pytest.raises(RuntimeError, match=f"^length {length}$"):
        kernel(*given)
    assert kernel.fed_lengths == {}


def test_a_kernel_known_to_need_padding_fails_with_what_padding_does_not_mend() -> None:
    def picky(*given: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        assert given[0].shape[2] % chunk_size == 0, "whole chunks"
        assert given[0].dtype == torch.float32, "float32"
        return chunkwise(*given, chunk_size=chunk_size)

    kernel = AnyLength(picky)
    with pytest.raises(AssertionError, match="whole chunks"):
        kernel(*inputs(33))
    kernel(*inputs(33, torch.float32))
    with pytest.raises(AssertionError, match="float32"):
        kernel(*inputs(45))


def test_a_kernel_that_changed_its_inputs_before_it_failed_is_not_called_again() -> None:
    calls: list[int] = []

    def kernel(q: Tensor, *others: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        calls.append(q.shape[2])
        q *= 2
        assert q.shape[2] % chunk_size == 0
        return chunkwise(q, *others, chunk_size=chunk_size)

    with pytest.raises(AssertionError):
        AnyLength(kernel)(*inputs(33))
    assert calls == [33]


@pytest.mark.parametrize("error", [MemoryError, FloatingPointError, Trace])
def test_what_no_length_mends_ends_the_call(error: type[Exception]) -> None:
    calls: list[int] = []

    def kernel(*given: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        calls.append(given[0].shape[2])
        raise error

    with pytest.raises(error):
        AnyLength(kernel)(*inputs(33))
    assert calls == [33]


def test_padding_has_unit_keys_and_open_no_gate() -> None:
    given = (*inputs(3, torch.float32), torch.full((2, 3, 3), -1.0))
    q, k, v, beta, g = resized(given, 5)
    assert all(x[:, :, :3].equal(own) for x, own in zip((q, k, v, beta, g), given, strict=True))
    assert all(x[:, :, 3:].norm(dim=-1).eq(1).all() for x in (q, k))
    assert not any(x[:, :, 3:].any() for x in (v, beta, g))


@pytest.mark.parametrize("result", [None, 3, (1, 2, 3), (torch.ones(1), None)])
def test_a_result_of_another_form_is_handed_on(result: Any) -> None:
    assert AnyLength(lambda *_, **__: result)(*inputs(33)) is result
