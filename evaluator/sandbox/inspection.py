"""Where in a variant's file something goes wrong, and what its loop holds, found by running it once more under a watch.

What is said here is the candidate's word: it serves the message, never the verdict.
"""

import re
import sys
import traceback
import types
import warnings
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from evaluator.fence.names import words
from evaluator.kernel import Kernel

FRAME = re.compile(r'File "<[^"]*>", line (\d+)')
MOVES = words("__getitem__ __setitem__ copy_ expand_as index_put index_put_ reshape_as to type_as view_as")
"""Functions that take tensors of several devices: they move numbers, or look at shapes, or take indices."""
TO_LIKE = words("to type_as")
"""Functions whose results are where the tensor is that they are given beside the first."""


class Place(NamedTuple):
    """A line of the variant's file, 0 where it is not known, and what happens there."""

    line: int
    what: str


def line_that_changes(kernel: Kernel, inputs: Sequence[Tensor], chunk_size: int) -> Place:
    """Where a kernel changes one of its inputs first, and by which operation."""
    watch = _Changes(inputs)
    with watch:
        kernel(*inputs, chunk_size=chunk_size)
    return watch.place


class _Changes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operation after which one of some tensors is another."""

    def __init__(self, watched: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watched = [x.detach() for x in watched]
        self.before = [x.clone() for x in self.watched]
        self.place = Place(0, "")

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: else torch imports its compiler at the first operation; see WorkCounter."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let the operation through, and look."""
        out = func(*args, **(kwargs or {}))
        if not self.place.what and not all(map(torch.equal, self.watched, self.before)):
            self.place = Place(_line_now(), func.overloadpacket.__name__)
        return out


@torch.no_grad()
def device_problem(kernel: Kernel, inputs: Sequence[Tensor], chunk_size: int) -> Place:
    """What would fail with inputs on a GPU: a tensor that the kernel made without `device=` meets them, or is returned.

    Found on the CPU, by following where each tensor comes from. Tensors on torch's device `meta` would say less, as
    they have no values to branch on, and cost a second: torch imports its symbolic shapes for them.
    """
    watch = _Devices()
    try:
        with watch:
            result = kernel(*inputs, chunk_size=chunk_size)
    except Exception:  # noqa: BLE001 - other checks say so
        return watch.problem
    for x in _tensors(result):
        if not watch.problem.what and id(x) in watch.made:
            return Place(watch.made[id(x)].line, "a tensor that is made without device= is returned")
    return watch.problem


class _Made(NamedTuple):
    line: int
    tensor: Tensor
    """Kept, so that its identity is not given to another."""


class _Devices(TorchFunctionMode):
    """Follows the tensors that a kernel makes on the CPU, whatever device its inputs are on, until they meet those."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, _Made] = {}
        self.problem = Place(0, "")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let the function through, look at what it was given, and note where its results are."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        given = list(_tensors((args, kwargs)))
        own = [self.made[id(x)] for x in given if id(x) in self.made]
        met = [one for one in own if one.tensor.dim()]  # a single number may come from the CPU
        if met and name not in MOVES and len(own) < len(given) and not self.problem.what:
            told = f"a tensor that is made without device= meets the inputs in line {_line_now()}"
            self.problem = Place(met[0].line, told)
        if self._stays(name, given, args[1:], kwargs):
            line = own[0].line if own else _line_now()
            self.made |= {id(x): _Made(line, x) for x in _tensors(out) if id(x) not in self.made}
        elif name in TO_LIKE and id(out) in self.made:  # here nothing had to move
            out = out.clone()
        return out

    def _stays(self, name: str, given: Sequence[Tensor], others: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether a function's results are on the CPU, wherever the inputs are."""
        named = [x for x in (kwargs.get("device"), *others[: name == "to"]) if isinstance(x, (str, torch.device))]
        if name == "cpu" or named:
            return name == "cpu" or named == ["cpu"]
        beside = [x for x in _tensors((others, kwargs)) if name in TO_LIKE]
        return all(id(x) in self.made for x in beside or given)


def inplace_error(
    kernel: Kernel, leaves: Sequence[Tensor], chunk_size: int, wanted: Sequence[Tensor], error: RuntimeError
) -> RuntimeError:
    """An error of autograd's, raised where no line of the variant runs, with the line whose gradient it wanted."""
    with (
        warnings.catch_warnings(record=True) as told,
        torch.enable_grad(),
        torch.autograd.set_detect_anomaly(True, check_nan=False),
    ):
        warnings.simplefilter("always")
        outputs = kernel(*(x.clone() for x in leaves), chunk_size=chunk_size)
        try:
            sums = [x.sum() for x in outputs if x.requires_grad]
            torch.autograd.grad(torch.stack(sums).sum(), wanted, allow_unused=True)
        except RuntimeError:
            lines = FRAME.findall("\n".join(str(x.message) for x in told))
            if lines:
                text = str(error).partition(" Hint:")[0].rstrip(".")
                later = "; what it needs for its gradient is changed in place later" if "inplace" in text else ""
                return RuntimeError(f"{text} (line {lines[-1]} of the variant{later})")
    return error


class Held(NamedTuple):
    """Numbers in the tensors under a name; and the shape, where they are a single tensor."""

    numbers: int
    shape: tuple[int, ...]


@torch.no_grad()
def held_at_head(
    kernel: Kernel, inputs: Sequence[Tensor], chunk_size: int, names: Sequence[str], lines: Collection[int]
) -> dict[str, Held] | None:
    """What the tensors under some of a kernel's names hold when its loop is at its head for the last time.

    lines: those of the head. Memory that two names share counts for the first, and memory that a tensor repeats once.
    Names without a tensor are left out. None where the head was not seen, or a name holds what cannot be looked into.
    """
    found: dict[str, Any] = {}

    def on_line(frame: types.FrameType, event: str, _: Any) -> Any:
        if event == "line" and frame.f_lineno in lines:
            found.update({name: frame.f_locals.get(name) for name in names})
        return on_line

    def on_call(frame: types.FrameType, *_: Any) -> Any:
        code = frame.f_code
        return (
            on_line
            if _of_a_variant(code.co_filename) and not {*names} - {*code.co_varnames, *code.co_cellvars}
            else None
        )

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        kernel(*inputs, chunk_size=chunk_size)
    finally:
        sys.settrace(before)
    seen: set[tuple[int, int]] = set()
    held: dict[str, Held] = {}
    for name, value in found.items():
        tensors = _inside(value)
        if tensors is None:
            return None
        fresh = {(x.data_ptr(), x.numel()): x for x in tensors if (x.data_ptr(), x.numel()) not in seen}
        seen |= fresh.keys()
        if fresh:
            held[name] = Held(sum(map(_numbers, fresh.values())), tuple(tensors[0].shape) if len(tensors) == 1 else ())
    return held if found else None


def _numbers(x: Tensor) -> int:
    kept = min(x.numel(), x.untyped_storage().nbytes() // x.element_size())
    return 2 * kept if x.is_complex() else kept


def _inside(value: Any, deep: int = 8) -> list[Tensor] | None:
    """The tensors in a value, also in containers and in objects; None where it may have some that cannot be found."""
    match value:
        case Tensor():
            return [value]
        case None | bool() | int() | float() | complex() | str() | range() | torch.dtype() | torch.device():
            return []
        case Mapping():
            parts: list[Any] = [*value.values()]
        case tuple() | list() | set() | frozenset() | deque():
            parts = [*value]
        case _ if hasattr(value, "__dict__"):
            parts = [*vars(value).values()]
        case _:
            return None
    found = [_inside(part, deep - 1) if deep else None for part in parts]
    return None if None in [x if x is None else 0 for x in found] else [x for each in found for x in each or ()]


def _of_a_variant(filename: str) -> bool:
    return filename.startswith("<") and filename.endswith(".py>")


def _line_now() -> int:
    """The line of a variant's file that runs now."""
    for frame, line in traceback.walk_stack(sys._getframe()):
        if _of_a_variant(frame.f_code.co_filename):
            return line
    return 0


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _tensors(value)
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)
