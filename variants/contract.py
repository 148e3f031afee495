"""The contract of a variant: one source file that defines one kernel."""

import ast
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from unicodedata import normalize

from pydantic import BaseModel, ConfigDict, StringConstraints

from variants.parsing import parse

BASELINE = "delta_net_4layer"
REFERENCE = "gated_delta_net_4layer"
CHUNK_SIZE = 32

VariantName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,119}$")]


def short_name(name: str) -> str:
    """The idea in a variant's name; the baseline and the gated reference keep theirs."""
    return name.removeprefix(f"{BASELINE}_").removesuffix("_in_for_loop")


class Layer(StrEnum):
    """Which mixer calls the kernel."""

    DELTA_NET = "delta_net"
    GATED_DELTA_NET = "gated_delta_net"
    WIDE_GATED_DELTA_NET = "wide_gated_delta_net"
    DRAWN_DECAY_GATED_DELTA_NET = "drawn_decay_gated_delta_net"


InputKind = Literal["query", "key", "value", "rate", "log_decay"]
"""What an input is: query and key `[B, H, L, Dk]` of length 1, value `[B, H, L, Dv]`, rate in (0, 1) and log_decay at
most 0, each `[B, H, L]`."""


@dataclass(frozen=True)
class KernelContract:
    """What archer demands of a kernel, and who calls it. docs/contracts.md says what else depends on it.

    layer: the mixer that calls it; all gated ones have one contract. function: its name. kinds: its tensor arguments
    in order, by name; `chunk_size` always follows them. prefix: what names of its variants begin with. operator: its
    folder in a checkout of flash-linear-attention.
    """

    layer: Layer
    function: str
    kinds: Mapping[str, InputKind]
    prefix: str
    operator: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensor arguments, in order."""
        return tuple(self.kinds)


_DELTA_RULE: dict[str, InputKind] = {"q": "query", "k": "key", "v": "value", "beta": "rate"}

CONTRACTS: dict[Layer, KernelContract] = {
    contract.layer: contract
    for contract in (
        KernelContract(
            Layer.DELTA_NET,
            "delta_rule_chunkwise",
            _DELTA_RULE,
            prefix="delta_net_4layer_",
            operator="fla/ops/delta_rule",
        ),
        KernelContract(
            Layer.GATED_DELTA_NET,
            "gated_delta_rule_chunkwise",
            {**_DELTA_RULE, "g": "log_decay"},
            prefix="gated_delta_net_4layer_",
            operator="fla/ops/gated_delta_rule",
        ),
    )
}


class Variant(BaseModel):
    """One kernel file: its name (the file's stem) and its source text, never imported in this process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: VariantName
    source: str

    @property
    def source_hash(self) -> str:
        """SHA-256 of the source, as hex."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def contract(self) -> KernelContract:
        """What the kernel must keep: the gated one's if the file defines the gated function, or assigns to it."""
        delta, gated = CONTRACTS[Layer.DELTA_NET], CONTRACTS[Layer.GATED_DELTA_NET]
        if gated.function not in normalize("NFKC", self.source):  # as Python reads names
            return delta  # most are, and parsing takes long
        try:
            body = parse(self.source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return delta
        defined = {name for node in body for name in _defined(node)}
        return gated if gated.function in defined else delta

    @property
    def layer(self) -> Layer:
        """The mixer that calls the kernel: that of its contract, but for `variants/outside_archives.py`."""
        return self.contract.layer

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a variant file. Raises OSError, UnicodeDecodeError, or ValidationError for an unusable name."""
        return cls(name=path.stem, source=path.read_text(encoding="utf-8"))


def _defined(node: ast.stmt) -> list[str]:
    """Names that a statement gives to a function or a value, as in `gated_delta_rule_chunkwise = torch.compile(f)`."""
    match node:
        case ast.FunctionDef():
            return [node.name]
        case ast.Assign():
            return [target.id for target in node.targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []
