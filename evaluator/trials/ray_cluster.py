"""Trials on a Ray cluster. A group of trials is one Ray task on a node, in a sandbox that the node's worker opens."""

import logging
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any, Self
from uuid import uuid4

import ray
from ray.exceptions import RayError, TaskCancelledError

from evaluator.device import best_device
from evaluator.machine import versions
from evaluator.outcomes import Grade, Trial
from evaluator.protocols.protocol import TrialSpec
from evaluator.sandbox import Sandbox
from evaluator.sandbox.folders import remove_abandoned
from evaluator.trials.grouped import Follow, Group, run_group

POLL_SECONDS = 0.5
KNOCK_SECONDS = 10.0

Told = tuple[TrialSpec, dict[str, Any]]


class ClusterError(RuntimeError):
    """The cluster could not run a trial: a node cannot be reached, lacks archer, or has another version of archer."""


class Cluster:
    """The Ray cluster of RAY_ADDRESS, else one that runs on this machine, else a new one. A context manager.

    minimum: the weakest sandbox grade to accept on a node. gpu_share: the share of a GPU that a group of trials takes,
    if the cluster has GPUs. Raises ClusterError.
    """

    def __init__(self, minimum: Grade, gpu_share: float) -> None:
        self._minimum = minimum
        try:
            _knock(os.environ.get("RAY_ADDRESS", ""))
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        except (RayError, OSError, RuntimeError, ValueError) as error:
            raise ClusterError(f"no Ray cluster: {error}") from error
        gpus = resources.get("GPU", 0.0)
        self.slots = max(1, int(gpus / gpu_share if gpus else resources.get("CPU", 1.0)))
        """How many groups of trials the cluster runs at once."""
        self._task = ray.remote(_run).options(num_cpus=1, num_gpus=gpu_share if gpus else 0)
        self._board: Any = ray.remote(_Board).options(num_cpus=0).remote()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()
        remove_abandoned()  # Ray kills the workers that it started here, each with a sandbox

    def run_group(self, group: Group, sandbox: Sandbox, follow: Follow, stop: threading.Event) -> tuple[Trial, ...]:
        """Run a group in a sandbox on some node. Empty if `stop` is set before the group began. Raises ClusterError."""
        key = uuid4().hex
        try:
            task = self._task.remote(group, self._minimum, self._board, key, versions()["archer"])
            ended = False
            while not ended:
                ended = bool(ray.wait([task], timeout=POLL_SECONDS)[0])
                began, news = ray.get(self._board.read.remote(key))
                for spec, progress in news:
                    follow(spec, progress)
                if stop.is_set() and not ended:
                    ray.get(self._board.stop.remote(key))
                    if not began:
                        ray.cancel(task)
            trials: tuple[Trial, ...] = ray.get(task)
        except TaskCancelledError:
            return ()
        except RayError as error:
            raise ClusterError(f"a trial on the Ray cluster: {_last_line(error)}") from error
        return trials


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at `[ray://]host:port`. Ray itself would need minutes to notice."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
        except OSError as error:
            raise OSError(f"RAY_ADDRESS={address}: {error.strerror or error}") from error


def _last_line(error: RayError) -> str:
    return next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)


class _Board:
    """Messages from and to running groups, by their keys. It is a Ray actor, because a task receives no messages."""

    def __init__(self) -> None:
        self._began: set[str] = set()
        self._stopped: set[str] = set()
        self._news: defaultdict[str, list[Told]] = defaultdict(list)

    def tell(self, key: str, news: list[Told]) -> bool:
        """Called by the node with its news. Returns whether the group must stop."""
        self._began.add(key)
        self._news[key] += news
        return key in self._stopped

    def read(self, key: str) -> tuple[bool, list[Told]]:
        """Called by archer. Returns whether the group has begun, and the news since the last call."""
        return key in self._began, self._news.pop(key, [])

    def stop(self, key: str) -> None:
        """Called by archer to stop the group."""
        self._stopped.add(key)


def _run(group: Group, minimum: Grade, board: Any, key: str, archer: str) -> tuple[Trial, ...]:
    """Run the group on a node and report progress to the board. archer: version and code digest of the caller."""
    if (own := versions()["archer"]) != archer:
        raise RuntimeError(f"a node has archer {own}, and this machine {archer}: install the same one everywhere")
    stop = threading.Event()

    def tell(news: list[Told]) -> None:
        if ray.get(board.tell.remote(key, news)):
            stop.set()

    def follow(spec: TrialSpec, progress: Mapping[str, Any]) -> None:
        tell([(spec, dict(progress))])

    tell([])
    return run_group(group, _sandbox(minimum), follow, stop)


@cache
def _sandbox(minimum: Grade) -> Sandbox:
    """The sandbox of this worker process. It serves all groups of the worker and ends with the worker."""
    return Sandbox(minimum=minimum, device=best_device())
