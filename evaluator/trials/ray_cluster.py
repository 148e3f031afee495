"""Trials on a Ray cluster. A group of trials is one Ray task on a node, in a sandbox that the node's worker opens.

Ray places the tasks and begins a task again if its node is lost. What a task returns, it returns once.
"""

import logging
import os
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self
from uuid import uuid4

import ray
from ray._private.node import Node
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError, TaskCancelledError
from ray.util import get_node_ip_address
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from evaluator.device import best_device
from evaluator.machine import versions
from evaluator.outcomes import Grade, Trial
from evaluator.protocols.protocol import TrialSpec
from evaluator.sandbox import Sandbox
from evaluator.sandbox.folders import remove_abandoned
from evaluator.trials.grouped import Follow, Group, run_group
from evaluator.trials.ray_nodes import ClusterError, Head, Nodes, knock, last_line

__all__ = ["Cluster", "ClusterError"]

POLL_SECONDS = 0.5
STOP_SECONDS = 20.0
"""A node that has not ended its training so long after it was asked to will not: it may be lost."""
STARTS = 3
"""Ray gives its own processes half a minute to start, which is too little where others have the processors."""
MOST_WAITING = 256
"""Groups that wait at Ray, beyond twice those that can run: so that a node that joins finds work."""

Told = tuple[TrialSpec, dict[str, Any]]


@dataclass
class _Heard:
    """What the board has on a group. places: the addresses of the nodes on which it began."""

    places: list[str] = field(default_factory=list)
    news: list[Told] = field(default_factory=list)


class Cluster:
    """The Ray cluster of RAY_ADDRESS, else one that runs on this machine, else a new one. A context manager.

    minimum: the weakest sandbox grade to accept on a node. gpu_share: the share of a GPU that a group of trials takes,
    if the cluster has GPUs. say: called with a line when a node joins, is lost or is left out, and when a group begins
    again; from several threads. Raises ClusterError.
    """

    def __init__(self, minimum: Grade, gpu_share: float, say: Callable[[str], None] = lambda _: None) -> None:
        self._minimum, self._say = minimum, say
        try:
            _require_listener(os.environ.get("RAY_ADDRESS", ""))
            os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of trials whose error nobody waits for any more
            _start_ray(say)
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        except Exception as error:  # Ray says by an Exception of no kind that its processes did not start in time
            raise ClusterError(f"no Ray cluster: {error}{_token_hint()}") from error
        self._task: Any = ray.remote(_run)
        self._board: Any = ray.remote(_Board).options(num_cpus=0, scheduling_strategy=here).remote()
        self._reading, self._read_at = threading.Lock(), 0.0
        self._heard: defaultdict[str, _Heard] = defaultdict(_Heard)
        self._head = Head(ray.get_runtime_context().gcs_address)
        self._nodes = Nodes(gpu_share, say)
        self.slots = self._nodes.slots
        """How many groups of trials the cluster runs at once, as it is now."""
        self.waiting = max(MOST_WAITING, 2 * self.slots)
        """How many groups may run or wait at Ray."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._nodes.close()
        self._head.close()
        if not self._head.lost:  # to whom to say goodbye
            ray.shutdown()
        remove_abandoned()  # Ray kills the workers that it started here, each with a sandbox

    def run_group(self, group: Group, sandbox: Sandbox, follow: Follow, stop: threading.Event) -> tuple[Trial, ...]:
        """Run a group in a sandbox on some node. Empty if `stop` is set before the group began, or its node is lost.

        A node that cannot run it is left out from then on. Raises ClusterError.
        """
        try:
            while True:
                key = uuid4().hex
                try:
                    return self._run_on_a_node(key, group, follow, stop)
                except TaskCancelledError:
                    return ()
                except RayTaskError as error:
                    if isinstance(error.cause, RayError):  # not the node's doing
                        raise
                    self._nodes.leave_out(error)
                finally:
                    with self._reading:
                        self._heard.pop(key, None)
        except RayError as error:
            self._head.require(now=True)
            raise ClusterError(f"a trial on the Ray cluster: {last_line(error)}") from error

    def _run_on_a_node(self, key: str, group: Group, follow: Follow, stop: threading.Event) -> tuple[Trial, ...]:
        nodes = self._nodes
        task = self._task.options(num_cpus=1, num_gpus=nodes.gpu_share, label_selector=nodes.selector).remote(
            group, self._minimum, self._board, key, versions()["archer"]
        )
        places, give_up = 0, float("inf")
        while not ray.wait([task], timeout=POLL_SECONDS)[0]:
            self._head.require()
            places = self._follow(key, group, follow, places)
            if stop.is_set():
                give_up = min(give_up, time.monotonic() + STOP_SECONDS)
                if time.monotonic() > give_up:
                    ray.cancel(task, force=True)
                    return ()
                self._board.stop.remote(key)
                if not places:
                    ray.cancel(task)
        trials: tuple[Trial, ...] = ray.get(task)
        with suppress(RayError, ClusterError):  # it has ended, whatever becomes of the board
            self._follow(key, group, follow, places, at_once=True)
        return trials

    def _follow(self, key: str, group: Group, follow: Follow, places: int, *, at_once: bool = False) -> int:
        """Pass on what is new of a group that began on so many `places` before; returns on how many it has now."""
        heard = self._hear(key, at_once=at_once)
        for spec, progress in heard.news:
            follow(spec, progress)
        if len(heard.places) > max(places, 1):
            self._say(_begun_again(group, heard.places))
        return len(heard.places)

    def _hear(self, key: str, *, at_once: bool) -> _Heard:
        """What is new of a group. All threads share what one of them reads, twice a second or `at_once`."""
        with self._reading:
            if at_once or time.monotonic() > self._read_at + POLL_SECONDS:
                for other, new in self._read().items():
                    self._heard[other].places += new.places
                    self._heard[other].news += new.news
                self._read_at = time.monotonic()
            heard = self._heard[key]
            news, heard.news = heard.news, []
            return _Heard(list(heard.places), news)

    def _read(self) -> dict[str, _Heard]:
        answer = self._board.read.remote()
        while not ray.wait([answer], timeout=POLL_SECONDS)[0]:
            self._head.require()
        try:
            heard: dict[str, _Heard] = ray.get(answer)
        except ActorUnavailableError:  # for now
            return {}
        return heard


def _begun_again(group: Group, places: list[str]) -> str:
    spec = group.specs[0]
    *before, now = places
    return f"{group.variant.name}: {spec.task}, seed {spec.seed} begins again on {now}; it was lost on {before[-1]}"


def _start_ray(say: Callable[[str], None]) -> None:
    """Join or start a cluster. Raises what Ray raises: an Exception of no kind, where its processes took too long."""
    for left in reversed(range(STARTS)):
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            return
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise
            _end_half_started(error)
            say("Ray did not start within its half a minute: trying again")


def _end_half_started(error: Exception) -> None:
    """End the processes of a node of Ray's that did not start in time: `ray.shutdown` knows only those that did."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node = frame.f_locals.get("self")
        if isinstance(node, Node):
            node.kill_all_processes(check_alive=False)


def _require_listener(address: str) -> None:
    try:
        knock(address)
    except OSError as error:
        raise OSError(f"RAY_ADDRESS={address}: {error.strerror or error}") from error


def _token_hint() -> str:
    """What to do if the error being handled is that the cluster asks for a token, which Ray's own words do not say."""
    if "AuthenticationError" in traceback.format_exc():
        return "; it asks for a token: set RAY_AUTH_MODE=token here and on every node, with the head's token"
    return ""


class _Board:
    """Messages from and to running groups, by their keys. It is a Ray actor, because a task receives no messages."""

    def __init__(self) -> None:
        self._stopped: set[str] = set()
        self._heard: defaultdict[str, _Heard] = defaultdict(_Heard)

    def begin(self, key: str, place: str) -> bool:
        """Called by a node that begins. Returns whether the group must stop."""
        self._heard[key].places.append(place)
        return key in self._stopped

    def tell(self, key: str, news: list[Told]) -> bool:
        """Called by the node with its news. Returns whether the group must stop."""
        self._heard[key].news += news
        return key in self._stopped

    def read(self) -> dict[str, _Heard]:
        """Called by archer. Returns what is new since the last call, by key."""
        new = dict(self._heard)
        self._heard.clear()
        return new

    def stop(self, key: str) -> None:
        """Called by archer to stop the group."""
        self._stopped.add(key)


def _run(group: Group, minimum: Grade, board: Any, key: str, archer: str) -> tuple[Trial, ...]:
    """Run the group on a node and report progress to the board. archer: version and code digest of the caller."""
    if (own := versions()["archer"]) != archer:
        raise RuntimeError(f"it has archer {own}, and this machine {archer}: install the same one everywhere")
    stop = threading.Event()

    def hear(answer: Any) -> None:
        with suppress(ActorUnavailableError):  # a link that is cut for a moment stops no training
            if ray.get(answer):
                stop.set()

    def follow(spec: TrialSpec, progress: Mapping[str, Any]) -> None:
        hear(board.tell.remote(key, [(spec, dict(progress))]))

    hear(board.begin.remote(key, get_node_ip_address()))  # type: ignore[no-untyped-call]
    return run_group(group, _sandbox(minimum), follow, stop)


@cache
def _sandbox(minimum: Grade) -> Sandbox:
    """The sandbox of this worker process. It serves all groups of the worker and ends with the worker."""
    return Sandbox(minimum=minimum, device=best_device())
