"""Our end of a training run in a candidate's process: the job and data out, progress and weights in."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import Tensor

from evaluator.outcomes import Failure
from evaluator.sandbox.candidate import SandboxedProcess
from evaluator.sandbox.client import failure_of
from evaluator.sandbox.frames import Channel, DeadlinePassed, FrameError, PeerGone
from evaluator.sandbox.limits import Limits, TrainingStopped, VariantFailed

WEIGHTS_CAP = 2**30
PROGRESS_CAP = 100_000
STOP_SECONDS = 0.1


@dataclass(frozen=True)
class TrainingOutput:
    """What came out of a training run. weights: untrusted tensors by name. cpu_seconds: measured from outside."""

    weights: dict[str, Tensor]
    cpu_seconds: float
    log: str


@contextmanager
def training_watched(candidate: SandboxedProcess, limits: Limits, stop: threading.Event | None) -> Iterator[float]:
    """A training in a candidate's process: yields its deadline, and kills the process once `stop` is set.

    What goes wrong on the channel is raised as VariantFailed or TrainingStopped; the caller ends the process.
    """
    watch = _Stopper(candidate, stop)
    try:
        yield time.monotonic() + limits.wall_seconds
    except DeadlinePassed:
        candidate.kill("timeout")
        raise VariantFailed(Failure(kind="timeout", message=f"not done after {limits.wall_seconds:g} s")) from None
    except PeerGone:
        if stop is not None and stop.is_set():
            raise TrainingStopped from None
        raise VariantFailed(candidate.failure()) from None
    except FrameError as error:
        _garbage(str(error))
    finally:
        watch.cancel()


def receive_weights(
    channel: Channel, on_progress: Callable[[Mapping[str, Any]], None], deadline: float
) -> dict[str, Tensor]:
    """Hear a training to its end: progress, then untrusted weights by name. Raises VariantFailed."""
    for _ in range(PROGRESS_CAP):
        body, weights = channel.receive(WEIGHTS_CAP, deadline)
        if "progress" not in body:
            return _weights(body, weights)
        on_progress(_progress(body["progress"]))
    raise VariantFailed(Failure(kind="garbage", message=f"more than {PROGRESS_CAP} reports of progress"))


def _progress(told: Any) -> dict[str, Any]:
    """Progress in the form that the trainer reports it; anything else was not written by the trainer."""
    if not (isinstance(told, dict) and type(told.get("step")) is int and isinstance(told.get("loss"), float)):
        _garbage("progress of another form")
    return told


def _weights(body: Mapping[str, Any], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    if (error := body.get("error")) is not None:
        raise VariantFailed(failure_of(error))
    if body.get("weights") is not True:
        _garbage("a frame that is neither progress, weights nor error")
    return weights


def _garbage(what: str) -> NoReturn:
    raise VariantFailed(Failure(kind="garbage", message=what))


class _Stopper:
    """Kills the candidate once the stop event is set, even while it says nothing."""

    def __init__(self, candidate: SandboxedProcess, stop: threading.Event | None) -> None:
        self._over = threading.Event()
        if stop is not None:
            threading.Thread(target=self._watch, args=(candidate, stop), daemon=True).start()

    def cancel(self) -> None:
        self._over.set()

    def _watch(self, candidate: SandboxedProcess, stop: threading.Event) -> None:
        while not self._over.is_set():
            if stop.wait(STOP_SECONDS) and not self._over.is_set():
                candidate.kill("stopped")
                return
