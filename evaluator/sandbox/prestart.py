"""A template that starts while archer still imports torch itself: with a second core, a third of a check is saved."""

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from evaluator.outcomes import Grade
from evaluator.sandbox import roots
from evaluator.sandbox.folders import PrivateFolder
from evaluator.sandbox.limits import SandboxUnavailable
from evaluator.sandbox.lockdown import hide_this_process
from evaluator.sandbox.template_process import Keeper


class Early(NamedTuple):
    """A template of grade A for the CPU, ready or about to be, and the folder that it has."""

    keeper: Keeper
    folder: PrivateFolder


_waiting: list[Early] = []


def begin() -> None:
    """Start one for the first sandbox of this process; nothing where that might want another kind."""
    if sys.platform != "linux" or roots.accelerator_devices():
        return
    hide_this_process()
    folder = PrivateFolder.fresh()
    _waiting.append(Early(Keeper(Grade.A, folder.path, "cpu", _unheard, _unheard), folder))


def take(device: str) -> Early | None:
    """The one that was begun, if it is of use; whoever takes it ends it."""
    return _waiting.pop() if _waiting and device == "cpu" else None


def drop() -> None:
    """End what nobody took."""
    while _waiting:
        keeper, folder = _waiting.pop()
        keeper.stop()
        folder.remove()


def _unheard(_: Mapping[str, Any] | SandboxUnavailable) -> None:
    """It has no candidates yet of which there could be news."""
