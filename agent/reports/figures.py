"""What every figure needs: a file that can be drawn to, and matplotlib (extra `plot`)."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")


def require_drawable(path: Path) -> None:
    """Raises UserError without matplotlib, or for a file that cannot be drawn to: before work, and not after it."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"--plot {path}: give a file that ends in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UserError(f"--plot {path}: the folder {path.parent} does not exist; make it first")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("--plot needs matplotlib: in archer's folder, pip install -e '.[plot]'")


def save(figure: "Figure", path: Path) -> None:
    """Write a figure: the same bytes for the same numbers."""
    from matplotlib import rc_context

    metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
    with rc_context({"svg.hashsalt": "archer"}):
        figure.savefig(path, dpi=150, metadata=metadata)
