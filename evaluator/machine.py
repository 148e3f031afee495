"""What a trial ran on and with: recorded, so that a replay elsewhere can say why it differs."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


@cache
def versions() -> dict[str, str]:
    """torch, Python, architecture, processor, and archer with a digest of the code that trains and scores."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": _processor(),
        "archer": f"{_archer()}+{_digest()}",
    }


def _archer() -> str:
    try:
        return version("archer-search")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


def _digest() -> str:
    """Of this package's code: 12 hex digits."""
    own = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        own.update(path.read_bytes())
    return own.hexdigest()[:12]


def _processor() -> str:
    """`AMD EPYC (family 25, model 1)`: a cloud's name for a processor covers several, which round differently."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    name = fields.get("model name") or platform.processor() or "unknown"
    kind = [f"{key.removeprefix('cpu ')} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    return f"{name} ({', '.join(kind)})" if kind else name
