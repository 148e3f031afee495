"""The nodes of a Ray cluster: which there are, which are left out of the work, and what is said of both."""

import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from evaluator.trials.grouped import EngineLostError

WATCH_SECONDS = 2.0
KNOCK_SECONDS = 10.0
HEAD_SECONDS = 15.0
"""A head that nothing listens at for so long is lost. After a minute Ray would end archer's process on the spot."""


class ClusterError(EngineLostError):
    """The cluster could not run a trial: it cannot be reached, or none of its nodes can run trials."""


def knock(address: str) -> None:
    """Raise OSError if nothing listens at `[ray://]host:port`. Ray itself would need minutes to notice."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()


class Head:
    """Knocks at the head's port every two seconds until `close`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._lost, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._knock, daemon=True, name="head")
        self._thread.start()

    def require(self, *, now: bool = False) -> None:
        """Raise ClusterError if the head is lost; with `now`, if nothing listens at this moment."""
        if now:
            with suppress(OSError):
                knock(self.address)
                return
            self._lost.set()
        if self.lost:
            raise ClusterError(
                f"its head {self.address} is gone; what has ended is kept: start Ray, then the same command"
            )

    @property
    def lost(self) -> bool:
        """Whether nothing has listened for HEAD_SECONDS."""
        return self._lost.is_set()

    def close(self) -> None:
        """Knock no longer."""
        self._closed.set()

    def _knock(self) -> None:
        heard = time.monotonic()
        while not self._closed.wait(WATCH_SECONDS):
            try:
                knock(self.address)
                heard = time.monotonic()
            except OSError:
                if time.monotonic() > heard + HEAD_SECONDS:
                    self._lost.set()
                    return


class Nodes:
    """The nodes of the cluster that this process is connected to, looked at every two seconds until `close`.

    gpu_share: the share of a GPU that a group of trials takes where nodes have any. say: called with a line, from
    several threads.
    """

    def __init__(self, gpu_share: float, say: Callable[[str], None]) -> None:
        self._gpu_share, self._say = gpu_share, say
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._left_out: dict[str, str] = {}
        """Why, by the ids of nodes. A node that is started again has a new id, and with it another chance."""
        self._known: dict[str, Mapping[str, Any]] = _alive()
        self._watch = threading.Thread(target=self._look, daemon=True, name="nodes")
        self._watch.start()

    def close(self) -> None:
        """Look no longer."""
        self._closed.set()
        self._watch.join(WATCH_SECONDS)

    @property
    def slots(self) -> int:
        """How many groups of trials the nodes run at once; at least 1, since nodes may join later."""
        return max(1, self._room())

    @property
    def gpu_share(self) -> float:
        """The share of a GPU that a group takes now: 0 as long as no node has a GPU."""
        return self._gpu_share if self._has_gpus() else 0.0

    @property
    def selector(self) -> dict[str, str]:
        """Labels by which Ray keeps tasks from the nodes that are left out."""
        return {"ray.io/node-id": f"!in({','.join(self._left_out)})"} if self._left_out else {}

    def leave_out(self, error: RayTaskError) -> None:
        """Leave out the node on which a task failed. Raises ClusterError if none remains, or the node is not named."""
        address = re.search(r"\bip=([\w.:]+)", str(error))
        with self._lock:
            nodes = _alive()
            failed = [] if address is None else [id_ for id_, node in nodes.items() if _address(node) == address[1]]
            if not failed and not (address and self._is_out(address[1])):
                raise ClusterError(f"a trial on the Ray cluster: {last_line(error)}") from error
            for id_ in failed:
                if id_ not in self._left_out:
                    self._left_out[id_] = f"{address[1] if address else ''}: {last_line(error)}"
                    self._say(f"Ray cluster: no more trials for node {self._left_out[id_]}")
            self._known = nodes
            if not self._room():
                which = "no node with a GPU" if self._has_gpus() else "no node"
                raise ClusterError(f"{which} can run trials: {'; '.join(self._left_out.values())}") from error

    def _is_out(self, address: str) -> bool:
        return any(why.startswith(f"{address}: ") for why in self._left_out.values())

    def _has_gpus(self) -> bool:
        return any(node["Resources"].get("GPU") for node in self._known.values())

    def _room(self) -> int:
        free = [node["Resources"] for id_, node in self._known.items() if id_ not in self._left_out]
        if self._has_gpus():
            return sum(int(resources.get("GPU", 0.0) / self._gpu_share) for resources in free)
        return sum(int(resources.get("CPU", 0.0)) for resources in free)

    def _look(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            try:
                now = _alive()
            except (RayError, RuntimeError):  # who waits for a trial hears of it
                continue
            with self._lock:
                before, self._known = self._known, now
                for id_ in before.keys() - now.keys():
                    self._tell(before[id_], "is lost")
                for id_ in now.keys() - before.keys():
                    self._tell(now[id_], "has joined")

    def _tell(self, node: Mapping[str, Any], what: str) -> None:
        room = self._room()
        at_once = at_once_words(room) if room else "none is left, and archer waits for one to join"
        self._say(f"Ray cluster: node {_address(node)} {what}: {at_once}")


def at_once_words(count: int) -> str:
    """As "2 training runs at once"."""
    return f"{count} training run{'' if count == 1 else 's'} at once"


def last_line(error: RayError) -> str:
    """The last line of what Ray says of an error, without the name of its type."""
    text = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
    return re.sub(r"^(RuntimeError|[\w.]*SandboxUnavailable): ", "", text)


def _alive() -> dict[str, Mapping[str, Any]]:
    return {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]


def _address(node: Mapping[str, Any]) -> str:
    return str(node["NodeManagerAddress"])
