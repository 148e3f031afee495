"""JSON that somebody else wrote, as a value that can be walked, printed, added up and written again."""

import json
import math
from typing import Any

DEEPEST = 100
"""Brackets within brackets. What is nested more deeply would end Python's own walks over it."""
LARGEST = 2**63


def parsed(text: str) -> Any:
    """The value of a JSON text, as `tamed` gives it. Raises ValueError."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("the brackets are nested too deeply") from None
    return tamed(value)


def tamed(value: Any) -> Any:
    """The value without what JSON can carry and files, sums and walks cannot. Raises ValueError if it is too deep.

    Lone surrogates become question marks; numbers that are not finite, or too large for 64 bits, become None.
    """
    level = [value]
    for _ in range(DEEPEST):
        level = [child for node in level for child in _children(node)]
        if not level:
            return _tamed(value)
    raise ValueError(f"the brackets are nested more than {DEEPEST} deep")


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _tamed(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_tamed(name): _tamed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_tamed(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return None if isinstance(value, int) and abs(value) > LARGEST else value
