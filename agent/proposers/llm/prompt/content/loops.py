"""What one kernel changed of another, line by line: in the loop over the chunks, and around it."""

import difflib
from collections.abc import Iterable

from variants.source import KernelParts, kernel_parts


def loop_diff(old: str, new: str) -> tuple[str, ...]:
    """What a kernel changed of another's source: the lines that differ, without context; empty for no loop."""
    theirs, ours = kernel_parts(old), kernel_parts(new)
    if theirs is None or ours is None:
        return ()
    return (*changed_around(theirs, ours), *_changed(theirs.loop, ours.loop))


def changed_around(theirs: KernelParts, ours: KernelParts) -> tuple[str, ...]:
    """The lines around the loop that differ."""
    return (*_changed(theirs.before, ours.before), *_changed(theirs.after, ours.after))


def _changed(old: str, new: str) -> Iterable[str]:
    before, after = ([line.rstrip() for line in text.splitlines() if line.strip()] for text in (old, new))
    for line in difflib.unified_diff(before, after, n=0, lineterm=""):
        if line[:1] in "+-" and line[:3] not in ("+++", "---"):
            yield line
