"""What every figure needs: a file that can be drawn to, and matplotlib (extra `plot`)."""

import importlib.util
from pathlib import Path

from agent.errors import UserError

FORMATS = (".png", ".svg", ".pdf")


def require_drawable(path: Path) -> None:
    """Raises UserError without matplotlib, or for a file that cannot be drawn to: before work, and not after it."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"--plot {path}: give a file that ends in {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UserError(f"--plot {path}: the folder {path.parent} does not exist; make it first")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("--plot needs matplotlib: in archer's folder, pip install -e '.[plot]'")
