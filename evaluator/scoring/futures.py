"""Random futures: where a test sequence is cut, and what comes after the cut instead."""

from collections.abc import Iterator

import torch
from torch import Tensor

from evaluator.tasks.examples import IGNORED


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
