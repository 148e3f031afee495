"""Counting the work of a kernel, which does not depend on how busy the machine is."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from evaluator.fence.names import words

CALL = 50
"""What an operation costs on top of the numbers it computes."""

PRODUCTS = frozenset({"mm", "bmm", "addmm", "baddbmm", "mv", "dot"})
REDUCTIONS = words(
    "all amax amin any argmax argmin linalg_vector_norm logsumexp max mean median min norm prod sort std sum topk var"
)


class WorkCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up, over tensor operations, the numbers computed: the terms of products, the inputs of reductions."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: else torch imports its compiler at the first operation, for a second and more; nothing here compiles."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let the operation through, and note its size."""
        out = func(*args, **(kwargs or {}))
        self.work += CALL + (0 if func.is_view else _size(func.overloadpacket.__name__, _tensors(args), _tensors(out)))
        return out


def _size(name: str, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    computed = sum(x.numel() for x in outputs)
    if name.startswith("_scaled_dot_product") and len(inputs) > 1:
        return inputs[0].numel() * inputs[1].shape[-2]
    if name == "convolution":
        return computed * inputs[1][0].numel()
    if name in PRODUCTS:
        return computed * inputs[-1].shape[-2 if inputs[-1].dim() > 1 else -1]
    return max(computed, inputs[0].numel()) if name in REDUCTIONS and inputs else computed


def _tensors(values: Any) -> list[Tensor]:
    return [x for x in (values if isinstance(values, (tuple, list)) else (values,)) if isinstance(x, Tensor)]
