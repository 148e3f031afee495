"""Work captured once as a CUDA graph and replayed: one launch for thousands of small operations."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from evaluator.device import DeviceName

WARM_UP = 2
"""Calls before the capture: libraries set themselves up in their first call, and an optimiser makes its state."""
REASON_CAP = 400

Work = Callable[[], None]
Capture = Callable[[Work], Work]
"""Records work without doing it; what it gives does the work. Raises whatever keeps the work from being recorded."""


def cuda_graph(work: Work, pool: Any) -> Work:
    """Record work on the current stream, which must not be the default one. pool: where its tensors lie.

    Graphs that share a pool lend each other the memory of what does not outlive a replay.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, stream=torch.cuda.current_stream()):
        work()
    return graph.replay


def capture_on(device: DeviceName) -> Capture | None:
    """How work is captured on a device; None where it is not."""
    return partial(cuda_graph, pool=torch.cuda.graph_pool_handle()) if device == "cuda" else None


class Replayed:
    """Work that is done WARM_UP times as it is, then captured and replayed, or done as it is if it cannot be captured.

    capture: None never captures. eager: why the work could not be captured; empty while it was not tried.
    """

    def __init__(self, work: Work, capture: Capture | None) -> None:
        self.eager = ""
        self._work, self._capture, self._calls = work, capture, 0

    def __call__(self) -> None:
        """Do the work."""
        if self._calls == WARM_UP and self._capture is not None:
            try:
                self._work = self._capture(self._work)
            except Exception as error:  # noqa: BLE001 - a variant's kernel may fail in any way while it is captured
                self.eager = f"{type(error).__name__}: {error}"[:REASON_CAP]
        self._calls += 1
        self._work()
