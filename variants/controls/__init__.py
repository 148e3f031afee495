"""Controls: kernels that read no memory. What they score is where a score begins to say something of a memory.

The layers around the kernel stay, the short convolutions among them, which see the three tokens before. A control is
no variant: it is in no archive, has no parent and no child, and no proposer may choose it.
"""

from functools import cache
from pathlib import Path

from variants.contract import Variant

OWN_VALUE = "control_own_value"
ZERO = "control_zero"


@cache
def controls() -> dict[str, Variant]:
    """The controls by name, in alphabetical order. Raises OSError if their files are missing."""
    return {path.stem: Variant.from_file(path) for path in sorted(Path(__file__).parent.glob("control_*.py"))}
