"""The contract of a variant: one source file that defines one kernel."""

import ast
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

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


@dataclass(frozen=True)
class KernelSignature:
    """Name of the kernel function and its tensor arguments, in order; `chunk_size` always follows them."""

    function: str
    inputs: tuple[str, ...]


SIGNATURES: dict[Layer, KernelSignature] = {
    Layer.DELTA_NET: KernelSignature("delta_rule_chunkwise", ("q", "k", "v", "beta")),
    Layer.GATED_DELTA_NET: KernelSignature("gated_delta_rule_chunkwise", ("q", "k", "v", "beta", "g")),
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
    def layer(self) -> Layer:
        """The mixer this kernel belongs to: the gated one if the file defines the gated function."""
        try:
            body = parse(self.source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return Layer.DELTA_NET
        defined = {node.name for node in body if isinstance(node, ast.FunctionDef)}
        gated = SIGNATURES[Layer.GATED_DELTA_NET].function
        return Layer.GATED_DELTA_NET if gated in defined else Layer.DELTA_NET

    @property
    def signature(self) -> KernelSignature:
        """The signature that the kernel in this file must have."""
        return SIGNATURES[self.layer]

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a variant file. Raises OSError, UnicodeDecodeError, or ValidationError for an unusable name."""
        return cls(name=path.stem, source=path.read_text(encoding="utf-8"))
