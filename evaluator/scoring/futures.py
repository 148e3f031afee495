"""Random futures: where a test sequence is cut, and what comes after the cut instead."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from evaluator.tasks.examples import IGNORED


class Pass(NamedTuple):
    """One pass over the test set. cut: `[N]`. counts: `[N]` bool. inputs: `[N, L]`, the future of the cut replaced."""

    cut: Tensor
    counts: Tensor
    inputs: Tensor

    def part(self, which: slice) -> "Pass":
        """Of some of the sequences."""
        return Pass(*(x[which] for x in self))


def draw_passes(
    inputs: Tensor, targets: Tensor, cuts: int, vocabulary: int, generator: torch.Generator, batch: int
) -> list[Pass]:
    """All passes of a language model, drawn `batch` sequences at a time: the same, however many are scored at once."""

    def draw(some: Tensor, wanted: Tensor) -> list[Pass]:
        found = draw_cuts(wanted, cuts, generator)
        return [Pass(cut, counts, replace_future(some, cut, vocabulary, generator)) for cut, counts in found]

    return _joined(draw, inputs, targets, batch)


def draw_pass(inputs: Tensor, vocabulary: int, generator: torch.Generator, batch: int) -> Pass:
    """The pass of an autoencoder, whose cuts are anywhere, drawn `batch` sequences at a time."""

    def draw(some: Tensor, _: Tensor) -> list[Pass]:
        cut = torch.randint(some.shape[1], (len(some),), generator=generator)
        return [Pass(cut, torch.ones_like(cut, dtype=torch.bool), replace_future(some, cut, vocabulary, generator))]

    return _joined(draw, inputs, inputs, batch)[0]


def _joined(draw: Callable[[Tensor, Tensor], list[Pass]], inputs: Tensor, targets: Tensor, batch: int) -> list[Pass]:
    drawn = [draw(*some) for some in zip(torch.split(inputs, batch), torch.split(targets, batch), strict=True)]
    return [Pass(*map(torch.cat, zip(*same_cut, strict=True))) for same_cut in zip(*drawn, strict=True)]


def draw_cuts(targets: Tensor, cuts: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """For each of `cuts` passes, a position per row (`[B]`) and whether it counts, in rising order of position.

    Positions are distinct scored ones, drawn uniformly. A row with fewer scored positions than cuts has passes that
    do not count, at its last position, where nothing is replaced.
    """
    length = targets.shape[1]
    lots = torch.rand(targets.shape, generator=generator).masked_fill(targets == IGNORED, -1.0)
    drawn, position = lots.topk(min(cuts, length), dim=1)
    counts = drawn >= 0
    position = torch.where(counts, position, length - 1)
    position, order = position.sort(dim=1)
    counts = counts.gather(1, order)
    return zip(position.unbind(1), counts.unbind(1), strict=True)


def replace_future(inputs: Tensor, cut: Tensor, vocabulary: int, generator: torch.Generator) -> Tensor:
    """Inputs `[B, L]` with every token after `cut` (`[B]`) drawn anew, uniformly from the vocabulary."""
    noise = torch.randint(vocabulary, inputs.shape, generator=generator)
    return torch.where(up_to(cut, inputs), inputs, noise)


def up_to(cut: Tensor, inputs: Tensor) -> Tensor:
    """Mask `[B, L]` of the positions that keep their token."""
    return torch.arange(inputs.shape[1]) <= cut[:, None]
