"""Proposals and their results as records in a git repository.

`archive.open(path)` gives pandas frames: `trials()`, `scores()`, `predictions()`, `proposals()`, `curves()`.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archive.frames import Frames

__all__ = ["open"]

# Else GitPython raises ImportError where git is missing, and no command gets as far as to say what is missing.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


def open(path: str | os.PathLike[str]) -> "Frames":
    """The archive at `path` as tidy pandas frames. Each frame is read when its method is called."""
    from archive.frames import Frames

    return Frames(path)
