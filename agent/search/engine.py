"""Where the trials of a search or an evaluation run: on threads of this process, or on a Ray cluster."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from agent.errors import UserError
from agent.words import counted
from evaluator.cores import usable_cores
from evaluator.device import best_device
from evaluator.outcomes import Grade
from evaluator.trials.grouped import RunGroup, run_group


class EngineName(StrEnum):
    """The engines of `--engine`."""

    LOCAL = "local"
    RAY = "ray"


DEFAULT_SHARE = 0.25


@dataclass(frozen=True)
class Engine:
    """Runs groups of trials. Each thread of `executor` waits for one call of `run_group`."""

    executor: Executor
    run_group: RunGroup = run_group


def at_once_here(gpu_share: float = DEFAULT_SHARE) -> int:
    """How many training runs the local engine runs at once: one per usable core, at most as many as share the GPU."""
    cores = usable_cores()
    return cores if best_device() == "cpu" else min(cores, int(1 / gpu_share))


@contextmanager
def open_engine(name: EngineName, gpu_share: float, minimum: Grade, say: Callable[[str], None]) -> Iterator[Engine]:
    """Open the engine. The local engine runs `at_once_here` trials at once, a cluster as many as its nodes can hold.

    minimum: the weakest sandbox grade to accept on a node. say: called with a line, as plain text, for what becomes of
    a cluster. Raises UserError.
    """
    if name is EngineName.LOCAL:
        with ThreadPoolExecutor(at_once_here(gpu_share)) as pool:
            yield Engine(pool)
        return
    try:
        from evaluator.trials.ray_cluster import Cluster, ClusterError  # half a second, and an extra
    except ImportError:
        raise UserError("--engine ray needs Ray: pip install -e '.[ray]'") from None
    try:
        with Cluster(minimum, gpu_share, say) as cluster, ThreadPoolExecutor(cluster.waiting) as pool:
            say(f"Ray cluster: {counted(cluster.slots, 'training run')} at once")
            yield Engine(pool, cluster.run_group)
    except ClusterError as error:
        raise UserError(f"--engine ray: {error}") from error
