"""What fits this machine: how many trials train as one model, and whether the training runs fit the memory."""

from collections.abc import Sequence

from agent.errors import UserError
from agent.terminal.speech import Speech
from agent.words import size as size_text
from evaluator.device import best_device
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.trials.footprint import available, largest
from evaluator.trials.grouped import groups
from variants.contract import Layer

MEMBERS = 12
"""Most runs that train as one model: mad's grid of 6, for two seeds."""


def members_of(ensemble: bool | None, protocol: Protocol, layer: Layer, specs: Sequence[TrialSpec]) -> int:
    """How many trials of a setting train as one model: all that half of the free memory holds. 1: each trial alone.

    ensemble: whether to train as one model. None: only on a GPU, where the launches of operations limit a model of this
    width.
    """
    device = best_device()
    if not (device != "cpu" if ensemble is None else ensemble) or not specs:
        return 1
    most = max(len(group) for group in groups(specs, MEMBERS))
    one, _, _ = largest(protocol, layer, tuple(specs), device=device)
    return max(1, min(most, available(device) // (2 * one)))


def require_memory(
    protocol: Protocol, layer: Layer, specs: Sequence[TrialSpec], members: int, most: int, speech: Speech
) -> None:
    """Print the memory of the largest training run, and warn if the runs of one moment do not fit together.

    most: most runs at once. Raises UserError if a single run does not fit.
    """
    if not specs:
        return
    device = best_device()
    size, task, setting = largest(protocol, layer, tuple(specs), members, device)
    free, at_once = available(device), min(most, len(groups(specs, members)))
    need = f"the largest training run ({task} {setting}) needs about {size_text(size)}"
    if size > free:
        raise UserError(f"{need} and {size_text(free)} are free: choose smaller ones by --tasks, or free memory")
    speech.progress.print(f"memory: {need}; {at_once} at once, {size_text(free)} free on {device}", markup=False)
    if size * at_once > free:
        speech.progress.print(f"warning: {at_once} of these at once do not fit", markup=False)
