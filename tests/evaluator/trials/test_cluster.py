"""Trials on a real Ray cluster, which is of this machine alone."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from ray._private.node import Node

from evaluator.outcomes import Grade, Status
from evaluator.protocols.built_in import SMOKE
from evaluator.protocols.protocol import TrialSpec, trial_specs
from evaluator.sandbox import Sandbox
from evaluator.trials import ray_cluster as module
from evaluator.trials.evaluate import Evaluator
from evaluator.trials.grouped import Group, run_group
from evaluator.trials.ray_cluster import Cluster, ClusterError
from tests.waiting import PATIENCE
from variants.contract import BASELINE, Variant
from variants.seeds import seed_variants

pytestmark = pytest.mark.slow
OURS = seed_variants()[BASELINE]
(SPEC,) = trial_specs(SMOKE, ["Memorize"])
ASKED = Group(OURS, SMOKE, (SPEC,))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "local")
        with Cluster(Grade.A, gpu_share=1.0) as cluster:
            yield cluster


def unheard(*_: object) -> None:
    """Nobody follows."""


def endless() -> Group:
    plan = SMOKE.tasks["Memorize"].model_copy(update={"steps": 500_000})
    protocol = SMOKE.model_copy(update={"tasks": {"Memorize": plan}})
    return Group(OURS, protocol, trial_specs(protocol))


def test_a_node_trains_to_the_same_bits_and_tells_how_far_it_is(cluster: Cluster, sandbox: Sandbox):
    told: list[tuple[TrialSpec, int]] = []

    def follow(spec: TrialSpec, progress: Mapping[str, Any]) -> None:
        told.append((spec, progress["step"]))

    (there,) = cluster.run_group(ASKED, sandbox, follow, threading.Event())
    (here,) = run_group(ASKED, sandbox, unheard, threading.Event())
    assert there.status is Status.SCORED
    assert (there.weights_hash, there.accuracy, there.curve) == (here.weights_hash, here.accuracy, here.curve)
    assert there.sandbox_grade is Grade.A
    assert {spec for spec, _ in told} == {SPEC}
    assert all(step <= 20 for _, step in told)


def test_a_variant_that_fails_on_a_node_is_a_failed_trial(cluster: Cluster, sandbox: Sandbox):
    broken = Variant(
        name="broken", source="def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n    raise RuntimeError('no')\n"
    )
    with ThreadPoolExecutor(cluster.slots) as executor:
        result = Evaluator(SMOKE, sandbox, executor, run_group=cluster.run_group).evaluate(broken, [SPEC])
    assert result.status is Status.FAILED
    assert "no (line 2 of the variant)" in result.reason


def test_what_runs_on_a_node_can_be_stopped(cluster: Cluster, sandbox: Sandbox):
    stop = threading.Event()
    (trial,) = cluster.run_group(endless(), sandbox, lambda *_: stop.set(), stop)
    assert trial.status is Status.INTERRUPTED


def test_what_waits_for_a_node_can_be_stopped(cluster: Cluster, sandbox: Sandbox):
    stop, full = threading.Event(), threading.Event()
    running: set[int] = set()

    def occupy(number: int) -> int:
        def follow(*_: object) -> None:
            running.add(number)
            if len(running) == cluster.slots:
                full.set()

        return len(cluster.run_group(endless(), sandbox, follow, stop))

    with ThreadPoolExecutor(cluster.slots) as pool:
        found = [pool.submit(occupy, number) for number in range(cluster.slots)]
        try:
            assert full.wait(PATIENCE)
            stopped = threading.Event()
            stopped.set()
            assert cluster.run_group(endless(), sandbox, unheard, stopped) == ()
        finally:
            stop.set()
        assert [each.result() for each in found] == [1] * cluster.slots


def test_a_node_with_another_archer_is_refused(cluster: Cluster, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "versions", lambda: {"archer": "0+another"})
    with pytest.raises(ClusterError, match=r"this machine 0\+another: install the same one everywhere"):
        cluster.run_group(ASKED, sandbox, unheard, threading.Event())


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ClusterError, match=r"RAY_ADDRESS=127\.0\.0\.1:1: Connection refused"):
        Cluster(Grade.A, gpu_share=1.0)


def test_a_ray_that_does_not_start_in_time_is_started_again_and_then_is_one_line(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []

    class HalfStarted(Node):
        def __init__(self) -> None:
            raise Exception("The current node timed out during startup.")

        def kill_all_processes(self, **_: object) -> None:
            told.append("ended its processes")

    monkeypatch.setattr("ray.init", lambda **_: HalfStarted())
    with pytest.raises(ClusterError, match="no Ray cluster: The current node timed out"):
        Cluster(Grade.A, gpu_share=1.0, say=told.append)
    assert told == ["ended its processes", "Ray did not start within its half a minute: trying again"] * 2
