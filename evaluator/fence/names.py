"""What a kernel may name: modules, their members, builtins and attributes. Everything else is outside the fence."""

import builtins
import types
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


ALLOWED_BUILTINS = words(
    """
    abs all any bool bytes callable classmethod complex dict divmod enumerate filter float frozenset int isinstance
    issubclass iter len list map max min next object pow print property range repr reversed round set slice sorted
    staticmethod str sum super tuple type zip NotImplemented Ellipsis
    ArithmeticError AssertionError AttributeError Exception FloatingPointError ImportError IndexError KeyError
    LookupError NotImplementedError OverflowError RuntimeError StopIteration TypeError ValueError ZeroDivisionError
    """
)

MEMBERS: dict[str, frozenset[str]] = {
    "__future__": frozenset({"annotations"}),
    "collections": frozenset({"OrderedDict", "defaultdict", "deque", "namedtuple"}),
    "collections.abc": frozenset({"Callable", "Iterable", "Iterator", "Mapping", "Sequence"}),
    "contextlib": frozenset({"nullcontext", "suppress"}),
    "dataclasses": frozenset({"dataclass", "field", "replace"}),
    "einops": frozenset({"einsum", "pack", "parse_shape", "rearrange", "reduce", "repeat", "unpack"}),
    "enum": frozenset({"Enum", "IntEnum", "auto"}),
    "functools": frozenset({"partial", "reduce", "wraps"}),
    "itertools": words(
        "accumulate chain combinations count cycle islice pairwise product repeat starmap takewhile zip_longest"
    ),
    "operator": words("add eq ge gt itemgetter le lt matmul mod mul ne neg pow sub truediv"),
    "types": frozenset({"SimpleNamespace"}),
    "typing": words(
        """
        Annotated Any Callable ClassVar Dict Final Generic Iterable Iterator List Literal Mapping NamedTuple NewType
        Optional Protocol Self Sequence Set TYPE_CHECKING Tuple Type TypeAlias TypeVar Union cast
        """
    ),
    "torch.amp": frozenset({"autocast"}),
    "torch.autograd": frozenset({"Function", "enable_grad", "grad", "no_grad"}),
    "torch.autograd.function": frozenset({"once_differentiable", "Function"}),
    "torch.func": frozenset({"grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "vjp", "vmap"}),
    "torch.utils": frozenset(),
    "torch.utils.checkpoint": frozenset({"checkpoint"}),
}
"""Modules of which these members may be used."""

WHOLE = ("math", "torch", "torch.fft", "torch.linalg", "torch.nn", "torch.nn.functional", "torch.special")
"""Modules of which whatever computes may be used, as `_computes` tells."""

ALLOWED_MODULES = frozenset({*MEMBERS, *WHOLE})

TORCH_VALUES = words(
    """
    Generator Size Tensor autocast block_diag broadcast_shapes broadcast_tensors can_cast contiguous_format
    device dtype enable_grad finfo iinfo inference_mode is_floating_point is_tensor e inf nan newaxis no_grad pi
    preserve_format promote_types result_type strided tensor as_tensor vmap is_grad_enabled get_default_dtype
    FloatTensor DoubleTensor HalfTensor BFloat16Tensor LongTensor IntTensor BoolTensor
    """
)
TORCH_REFUSED = frozenset({"from_file", "frombuffer", "from_numpy", "from_dlpack", "init_num_threads"})
FUNCTIONAL_REFUSED = frozenset({"boolean_dispatch", "handle_torch_function", "has_torch_function"})

ATTRIBUTES_REFUSED = words(
    """
    apply_ as_subclass compile
    ag_await ag_code ag_frame backward cr_await cr_code cr_frame cr_origin ctypes data_ptr dump dumps
    f_back f_builtins f_code f_globals f_locals f_trace format_map func_globals gi_code gi_frame gi_yieldfrom grad
    grad_fn load map2_ map_ metadata module_load mro name_to_handle next_functions numpy pin_memory
    register_forward_hook register_forward_pre_hook register_full_backward_hook register_hook
    register_post_accumulate_grad_hook register_prehook retain_grad save set_ share_memory_ storage tb_frame tb_next
    tofile typed_storage untyped_storage with_traceback
    builtins cpp_extension hub importlib load_library os subprocess sys
    """
)
"""Attributes through which a value leads out of the computation: to frames, graphs, storage, files, hooks, modules."""

OPEN_DUNDERS = words(
    """
    __call__ __enter__ __exit__ __getitem__ __init__ __iter__ __len__ __next__ __post_init__ __repr__ __str__
    __add__ __radd__ __iadd__ __sub__ __rsub__ __mul__ __rmul__ __imul__ __matmul__ __rmatmul__ __truediv__ __neg__
    __pow__ __contains__ __setitem__
    """
)
"""Special methods that a class in a variant may define."""

HEADER_NAMES = words("__all__ __author__ __copyright__ __date__ __license__ __slots__ __version__")
"""Special names that a file or a class may set, to what nothing can change."""

CONTEXT_WRITERS = words("mark_dirty mark_non_differentiable save_for_backward save_for_forward set_materialize_grads")
"""Methods of an autograd context: called on the class instead, they write to whatever they are given."""

UNDERSCORED = frozenset({"_asdict", "_fields", "_replace"})


def member_problem(module: str, member: str) -> str | None:
    """Why `module.member` may not be used; None if it may. `module` is one of ALLOWED_MODULES."""
    path = f"{module}.{member}"
    if path in ALLOWED_MODULES:
        return None
    if member.startswith("_"):
        return f"{path} is private"
    allowed = member in MEMBERS[module] if module in MEMBERS else _computes(module)(member)
    return None if allowed else f"{path} is outside what a kernel may use"


def attribute_problem(name: str, *, of_self: bool = False) -> str | None:
    """Why an attribute of a value may not be used; None if it may. of_self: in a method, on its own instance."""
    if name in CONTEXT_WRITERS:
        return None if of_self else f"the attribute {name} of anything but the context that a method is given"
    if name.startswith("__") or (name.startswith("_") and not of_self and name not in UNDERSCORED):
        return f"the private attribute {name}"
    return f"the attribute {name}" if name in ATTRIBUTES_REFUSED else None


def builtin_problem(name: str) -> str | None:
    """Why a name that the variant does not define may not be used; None if it may, or is nothing at all."""
    if name in ALLOWED_BUILTINS or not (hasattr(builtins, name) or name.startswith("__")):
        return None
    return f"the builtin {name}"


@cache
def _torch_operators() -> frozenset[str]:
    operators = {name for name in dir(torch._C._VariableFunctions) if not name.startswith("_")}
    types_ = {name for name, value in vars(torch).items() if isinstance(value, (torch.dtype, torch.memory_format))}
    return frozenset(operators | types_ | set(torch.functional.__all__) | TORCH_VALUES) - TORCH_REFUSED


def _computes(module: str) -> Callable[[str], bool]:
    """A test of whether a member of one of the WHOLE modules computes on tensors or numbers."""
    if module == "torch":
        return lambda name: name in _torch_operators()
    if module == "torch.nn.functional":
        return lambda name: callable(getattr(F, name, None)) and not _is_plumbing(name)
    if module == "torch.nn":
        return lambda name: isinstance(getattr(torch.nn, name, None), type)
    return lambda name: name in _public(module)


def _is_plumbing(name: str) -> bool:
    return isinstance(getattr(F, name), types.ModuleType) or name.startswith(tuple(FUNCTIONAL_REFUSED))


@cache
def _public(module: str) -> frozenset[str]:
    namespace = {"math": __import__("math"), "torch.fft": torch.fft, "torch.linalg": torch.linalg}
    found = vars(namespace.get(module, torch.special))
    return frozenset(name for name, value in found.items() if isinstance(value, (types.BuiltinFunctionType, float)))
