"""A kernel on the bench: calls to it with the dtype, gradients and tolerances that the checks need."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evaluator.checks.inputs import CHECKED, Shape, draw, perturbed
from evaluator.outcomes import Failure
from evaluator.sandbox import KernelClient, VariantFailed
from evaluator.sandbox.client import Reply
from variants.contract import CHUNK_SIZE, KernelContract

SLACK = 200.0
"""How many times the spread that one rounding of the inputs causes still counts as rounding."""

LOOSEST = {torch.float64: 1e-6, torch.float32: 1e-3}
"""No amplification of rounding excuses more than this, relative to the output's scale."""


@dataclass(frozen=True)
class Case:
    """One set of inputs for a check, reproducible from these fields."""

    shape: Shape
    regime: str = "unit"
    dtype: torch.dtype = torch.float32
    seed: int = 0
    chunk_size: int = CHUNK_SIZE

    def evidence(self) -> dict[str, object]:
        """What is needed to draw the inputs again."""
        dtype = str(self.dtype).removeprefix("torch.")
        return {
            "length": self.shape[2],
            "shape": list(self.shape),
            "regime": self.regime,
            "dtype": dtype,
            "seed": self.seed,
            "chunk_size": self.chunk_size,
        }


@dataclass
class Bench:
    """A running kernel and its contract, called with chunks of one size.

    finest: float64 where the kernel computes in it throughout, else float32; see `precision`.
    """

    client: KernelClient
    contract: KernelContract
    seed: int = 0
    chunk_size: int = CHUNK_SIZE
    finest: torch.dtype = torch.float64

    def suited(self, case: Case) -> Case:
        """The case in a dtype that the kernel computes in: float64 is a probe of ours, no duty of a kernel's."""
        return case if case.dtype is not torch.float64 else replace(case, dtype=self.finest)

    def sized(self, case: Case) -> "Bench":
        """The same kernel, called with the chunk size of a case."""
        return replace(self, chunk_size=case.chunk_size)

    def forward(
        self, inputs: tuple[Tensor, ...], *, grad: bool = False, echo: bool = False, count: bool = False
    ) -> Reply:
        """Run the kernel once; see KernelClient.forward. Raises VariantFailed unless o is like v, S of floats."""
        reply = self.raw(inputs, grad=grad, echo=echo, count=count)
        if reply.o.shape != inputs[2].shape or reply.o.dtype != inputs[2].dtype or not reply.S.is_floating_point():
            told = f"o is {reply.o.dtype} {tuple(reply.o.shape)} and S is {reply.S.dtype}"
            raise VariantFailed(Failure(kind="garbage", message=f"{told} for v of {tuple(inputs[2].shape)}"))
        return reply

    def raw(self, inputs: tuple[Tensor, ...], *, grad: bool = False, echo: bool = False, count: bool = False) -> Reply:
        """The same with whatever comes back."""
        return self.client.forward(inputs, chunk_size=self.chunk_size, grad=grad, echo=echo, count=count)

    def backward(self, reply: Reply, grads: dict[str, Tensor], inputs: tuple[Tensor, ...]) -> list[Tensor | None]:
        """Gradients of a call with `grad`, one per input; its graph is let go of."""
        try:
            return self.client.backward(reply.call, grads, inputs)
        finally:
            self.client.release(reply.call)

    def draw(self, case: Case, offset: int = 0) -> tuple[Tensor, ...]:
        """The inputs of a case; another offset gives others like them."""
        return draw(self.contract, case.shape, CHECKED[case.regime], self.seed + case.seed + 7919 * offset, case.dtype)

    def o(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """The output without gradients."""
        return self.forward(inputs).o

    def tolerance(self, inputs: tuple[Tensor, ...], o: Tensor) -> Tensor:
        """How far the output may move by rounding alone: measured, by rounding the inputs differently.

        For each position `[B, H, L, 1]`, so that a large output at one excuses nothing at another. The smaller of two
        trials counts, so that a tie that flips in a top-k does not excuse a leak.
        """
        return self._tolerance(inputs, o, lambda reply: reply.o)

    def tolerance_of_state(self, inputs: tuple[Tensor, ...], S: Tensor) -> Tensor:
        """The same for the final state."""
        return self._tolerance(inputs, S, lambda reply: reply.S)

    def step_size(self, inputs: tuple[Tensor, ...]) -> float:
        """A step for central differences that suits the precision the kernel works in."""
        return float(resolution_of(self.o(inputs)) ** (1 / 3))

    def _tolerance(self, inputs: tuple[Tensor, ...], expected: Tensor, of: Callable[[Reply], Tensor]) -> Tensor:
        resolution = resolution_of(expected)
        trials = [of(self.forward(perturbed(inputs, resolution, seed))) for seed in (1, 2)]
        spread = torch.stack([differences(trial, expected).amax(-1, keepdim=True) for trial in trials]).amin(0)
        scale = expected.double().abs().nan_to_num(0.0, 0.0, 0.0).amax(-1, keepdim=True)
        loosest = loosest_of(resolution)
        # what is small among its like may come of larger numbers that cancelled: the median speaks for those
        return torch.minimum(SLACK * spread + 64 * resolution * scale, loosest * scale.clamp(min=float(scale.median())))


def taken(refused: Collection[int], *cases: Case) -> Iterator[Case]:
    """The cases whose chunk size the kernel takes."""
    return (case for case in cases if case.chunk_size not in refused)


def beyond(one: Tensor, other: Tensor, tolerance: Tensor) -> float:
    """The largest difference where it is more than the tolerance; 0 where it never is."""
    gap = differences(one, other)
    return float(gap.masked_fill(gap <= tolerance, 0.0).max()) if gap.numel() else 0.0


def worst(moved: Tensor, tolerance: Tensor) -> tuple[int, int, float, float]:
    """Row and position of what moved furthest beyond its tolerance, how far, and the tolerance there."""
    allowed = tolerance.expand_as(moved)
    place = (moved - allowed).flatten().argmax()
    row, _, position, _ = (int(i) for i in torch.unravel_index(place, moved.shape))
    return row, position, float(moved.flatten()[place]), float(allowed.flatten()[place])


def resolution_of(x: Tensor) -> float:
    """Machine epsilon of the precision that a kernel worked in, which may be lower than its output's dtype."""
    if x.dtype == torch.float64 and torch.equal(x, x.float().double()):
        return torch.finfo(torch.float32).eps
    return torch.finfo(x.dtype).eps


def loosest_of(resolution: float) -> float:
    """What no amplification of rounding excuses, relative to the output's scale, at a machine epsilon."""
    return LOOSEST[torch.float32 if resolution > 1e-10 else torch.float64]


def distance(one: Tensor, other: Tensor) -> float:
    """Largest absolute difference. Where both are the same infinity or both no number they do not differ."""
    return float(differences(one, other).max()) if one.numel() else 0.0


def differences(one: Tensor, other: Tensor) -> Tensor:
    """Absolute differences, infinite where only one of the two is a number."""
    gap = (one.double() - other.double()).abs()
    alike = (one == other) | (one.isnan() & other.isnan())
    return gap.masked_fill(alike, 0.0).nan_to_num(nan=float("inf"), posinf=float("inf"))


def largest(x: Tensor) -> float:
    """Largest finite absolute value; 0 where there is none."""
    finite = x[x.isfinite()]
    return float(finite.abs().max()) if finite.numel() else 0.0
