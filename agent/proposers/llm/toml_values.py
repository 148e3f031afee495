"""A TOML file that somebody names, read within bounds."""

import tomllib
from pathlib import Path
from typing import Any

from archive.files import read_given

LARGEST = 1_000_000
"""Bytes of a file."""
LONGEST_LINE = 2_000
"""Characters. A name of many parts takes Python's reader a time that grows with their square, and it fits in a line."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of the file. Raises OSError as `read_given` does, and ValueError for what is no TOML."""
    text = read_given(path, LARGEST)
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"line {number} has {len(line):,} characters, and at most {LONGEST_LINE:,} are read")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("the brackets are nested too deeply") from None
