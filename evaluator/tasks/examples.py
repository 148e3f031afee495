"""Examples of a task: token sequences with a target for every scored position."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # names and settings of tasks are wanted before anything needs torch, which takes a second to import
    from torch import Tensor

IGNORED = -100
"""Target of a position that is not scored; the index that PyTorch's cross-entropy ignores."""

Split = Literal["train", "held", "test"]
"""`train` has training targets; `held` (to choose an epoch) and `test` have test targets."""
SPLITS: tuple[Split, ...] = get_args(Split)

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Examples:
    """N sequences. inputs: `[N, L]` int64; targets: `[N, L]` int64, IGNORED where a position is not scored."""

    inputs: "Tensor"
    targets: "Tensor"

    @classmethod
    def of(cls, inputs: npt.NDArray[Any], targets: npt.NDArray[Any]) -> "Examples":
        """Examples from integer arrays of any width and layout."""
        return cls(_tensor(inputs), _tensor(targets))

    @classmethod
    def joined(cls, parts: "Sequence[Examples]") -> "Examples":
        """All examples of some parts, in their order."""
        import torch

        return cls(torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts]))


def _tensor(array: npt.NDArray[Any]) -> "Tensor":
    import torch

    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))


def first_occurrence(codes: Ints) -> Ints:
    """For each entry of `[N, M]`, the first column of its row with the same code (0 <= code < 2**40, M < 2**20)."""
    columns = codes.shape[1]
    bits = 20
    ordered = np.sort((codes << bits) | np.arange(columns), axis=1)
    column = ordered & ((1 << bits) - 1)
    starts = np.ones(ordered.shape, dtype=np.bool_)
    starts[:, 1:] = (ordered[:, 1:] >> bits) != (ordered[:, :-1] >> bits)
    group_start = np.maximum.accumulate(np.where(starts, np.arange(columns), 0), axis=1)
    first = np.empty_like(ordered)
    np.put_along_axis(first, column, np.take_along_axis(column, group_start, axis=1), axis=1)
    return first
