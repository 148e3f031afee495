"""What a candidate may use, and the ways in which running one can end badly."""

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the template process reads this, and imports no pydantic
    from evaluator.outcomes import Failure

MEBIBYTE = 2**20
OUT_OF_MEMORY = 71
"""Exit code of a candidate without the memory to say that it has none."""


@dataclass(frozen=True)
class Limits:
    """Bounds on one candidate process. A candidate can neither fork nor write a file at all, so neither has a number.

    wall_seconds: for one call of a kernel, or for one whole training run. A call that other programs kept from the
    processor may take up to four times as long.
    cpu_seconds: for the whole life of the process, over all calls. It is what holds a training.
    memory_bytes: private memory beyond what the process starts with; the resident set is watched against it too.
    log_bytes: standard output and error together.
    exchange_bytes: size of each of the two memory files through which tensors pass; what the candidate puts into its
    own comes on top of memory_bytes.
    gpu_bytes: tensors on a GPU; what CUDA itself takes comes on top.
    """

    wall_seconds: float = 60.0
    cpu_seconds: int = 3600
    memory_bytes: int = 4096 * MEBIBYTE
    log_bytes: int = 256 * 1024
    exchange_bytes: int = 1024 * MEBIBYTE
    threads: int = 64
    gpu_bytes: int = 4096 * MEBIBYTE

    def __post_init__(self) -> None:
        if min(astuple(self)) <= 0:
            raise ValueError(f"limits above zero, not {self}")


class VariantFailed(Exception):  # noqa: N818 - it is no error of ours
    """The variant's code gave no result. Turned into a value where a trial or a check ends.

    call: what the kernel was doing (`during`) and was called with: dtype, shape, device, chunk size.
    """

    def __init__(self, failure: "Failure") -> None:
        super().__init__(f"{failure.kind}: {failure.message}")
        self.failure = failure
        self.call: dict[str, object] = {}


class TrainingStopped(Exception):  # noqa: N818 - somebody asked for it
    """The caller's stop event ended a training run before it was through."""


class SandboxUnavailable(Exception):  # noqa: N818
    """No sandbox of the wanted grade can be had here. The message says what was tried and what to do."""
