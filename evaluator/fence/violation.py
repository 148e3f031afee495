"""One thing that a source does and a kernel may not."""

from typing import NamedTuple


class Violation(NamedTuple):
    """Where, and what."""

    line: int
    what: str
