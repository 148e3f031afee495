"""The sandbox: the same numbers as without it, nothing else out of it, and an end to whatever misbehaves."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluator.outcomes import Grade
from evaluator.sandbox import Limits, Sandbox, SandboxUnavailable, TrainingStopped, VariantFailed, host
from evaluator.sandbox.attacks import ATTACKS
from evaluator.sandbox.candidate import Ended, SandboxedProcess
from evaluator.sandbox.host import canaries
from evaluator.sandbox.loading import describe
from tests.waiting import PATIENCE, runs, wait_until
from variants.contract import BASELINE, Variant
from variants.seeds import seeds

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
HEAD = "import torch\n\n\ndef delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n"


def variant(body: str, top: str = "") -> Variant:
    return Variant(name="under_test", source=top + HEAD + textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n")


def inputs(dtype: torch.dtype = torch.float32, *, grad: bool = False) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 70, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    drawn = (
        q,
        torch.nn.functional.normalize(k, dim=-1),
        v,
        torch.rand(2, 3, 70, generator=generator, dtype=torch.float64),
    )
    return tuple(x.to(dtype).requires_grad_(grad) for x in drawn)


@pytest.fixture(scope="module", params=[Grade.A, Grade.B])
def graded(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox of exactly this grade."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "GRADES", (request.param,))
        sandbox = Sandbox(minimum=request.param)
    with sandbox:
        yield sandbox


def test_every_attack_is_stopped(graded: Sandbox) -> None:
    results = canaries(graded)
    assert [name for name, _, _ in results] == list(ATTACKS)
    assert [name for name, stopped, _ in results if not stopped] == []


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_outputs_and_gradients_are_bit_identical(graded: Sandbox, dtype: torch.dtype) -> None:
    baseline = seeds()[BASELINE].variant
    namespace: dict[str, Any] = {}
    exec(baseline.source, namespace)
    local, remote = inputs(dtype, grad=True), inputs(dtype, grad=True)
    o, S = namespace["delta_rule_chunkwise"](*local)
    with graded.kernel(baseline) as kernel:
        o_remote, S_remote = kernel(*remote)
        assert torch.equal(o, o_remote)
        assert torch.equal(S, S_remote)
        (o.float().square().sum() + S.float().sum()).backward()
        (o_remote.float().square().sum() + S_remote.float().sum()).backward()
        for a, b in zip(local, remote, strict=True):
            assert torch.equal(a.grad, b.grad)
        with torch.no_grad():
            assert torch.equal(kernel(*local)[0], o)


def test_what_an_exception_holds_is_free_before_it_is_told() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def kernel() -> None:
        kept = torch.ones(2**10)
        held.append(weakref.ref(kept))
        raise MemoryError

    with pytest.raises(MemoryError) as caught:
        kernel()
    assert held[0]() is not None
    assert describe(caught.value)["error"]["kind"] == "memory"
    assert held[0]() is None


def test_a_candidate_starts_in_a_third_of_a_second(sandbox: Sandbox) -> None:
    """Of the processor's time, here and in its own process: a clock would tell of other programs, too."""

    def seconds() -> float:
        began = time.process_time()
        with sandbox.kernel(seeds()[BASELINE].variant) as kernel:
            here = time.process_time() - began
        return here + kernel.cpu_seconds

    wait_until(lambda: 0 < seconds() < 0.3, "a start that no other program makes longer")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise ValueError('no')", "crash"),
        ("while True: pass", "timeout"),
        ("return q", "garbage"),
        ("return q, 'S'", "garbage"),
        ("return torch.ones(2**31), q", "memory"),
        ("kept = []\nwhile True: kept.append(torch.ones(2**22))", "memory"),
        ("return delta_rule_chunkwise(q, k, v, beta)", "crash"),
        ("return torch.ones(2**24), q", "garbage"),
    ],
)
def test_failure_is_a_value_of_the_right_kind(sandbox: Sandbox, body: str, kind: str) -> None:
    limits = Limits(wall_seconds=2.0 if kind == "timeout" else PATIENCE, memory_bytes=2**29)
    with sandbox.kernel(variant(body), limits) as kernel, pytest.raises(VariantFailed) as caught:
        kernel(*inputs())
    assert caught.value.failure.kind == kind


def test_memory_that_was_let_go_of_says_nothing(sandbox: Sandbox) -> None:
    body = "found = torch.empty(4099)\nseen = found[:8].clone()\nfound.fill_(7.0)\nreturn seen.view_as(v), k"
    with sandbox.kernel(variant(body)) as kernel:
        one = (torch.ones(1, 1, 2, 4),) * 3
        assert all(kernel(*one, torch.ones(1, 1, 2))[0].isnan().all() for _ in range(4))


def test_cpu_time_is_bounded(sandbox: Sandbox) -> None:
    limits = Limits(wall_seconds=PATIENCE, cpu_seconds=1)
    with sandbox.kernel(variant("while True: pass"), limits) as kernel, pytest.raises(VariantFailed) as caught:
        kernel(*inputs())
    assert caught.value.failure.kind == "timeout"


def test_printing_is_bounded(sandbox: Sandbox) -> None:
    limits = Limits(wall_seconds=PATIENCE, log_bytes=10_000)
    with (
        sandbox.kernel(variant("while True: print('x' * 1000)"), limits) as kernel,
        pytest.raises(VariantFailed) as caught,
    ):
        kernel(*inputs())
    assert caught.value.failure.kind == "crash"


def test_an_error_says_where_in_the_variant(sandbox: Sandbox) -> None:
    with (
        sandbox.kernel(variant("x = 1\nraise ValueError('no such luck')")) as kernel,
        pytest.raises(VariantFailed) as caught,
    ):
        kernel(*inputs())
    assert caught.value.failure.message == "ValueError: no such luck (line 6 of the variant)"


def test_an_error_that_cannot_be_told_is_one(sandbox: Sandbox) -> None:
    odd = "class Odd(Exception):\n    def __str__(self):\n        raise Odd\n\n\n"
    with sandbox.kernel(variant("raise Odd", odd)) as kernel, pytest.raises(VariantFailed) as caught:
        kernel(*inputs())
    assert caught.value.failure.kind == "crash"
    assert caught.value.failure.message.startswith("Odd: an exception that cannot be told")


@pytest.mark.parametrize("top", ["import os\n", "import socket\n", "open('/etc/passwd')\n", "eval('1')\n"])
def test_what_the_fence_would_refuse_does_not_load_either(sandbox: Sandbox, top: str) -> None:
    with pytest.raises(VariantFailed), sandbox.kernel(variant("return q, k", top)):
        pass


REACH = """
import torch

os = torch.os

def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    raise ValueError(repr([dict(os.environ), os.path.exists({root!r}), os.getcwd()]))
"""


def test_a_variant_that_reaches_os_finds_nothing(graded: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    reach = Variant(name="reach", source=REACH.replace("{root!r}", repr(str(ROOT / "pyproject.toml"))))
    with graded.kernel(reach) as kernel, pytest.raises(VariantFailed) as caught:
        kernel(*inputs())
    message = caught.value.failure.message
    assert "sk-secret" not in message
    assert "OPENAI" not in message
    assert f"{graded.grade is not Grade.A}" in message  # without a mount namespace it sees that a file is there
    assert str(Path.cwd()) not in message


@pytest.mark.parametrize(
    "path", ["/", "/etc/passwd", "/proc/self/environ", "/root", "/home", str(ROOT), str(ROOT / "pyproject.toml")]
)
def test_a_variant_that_reaches_os_opens_nothing(graded: Sandbox, path: str) -> None:
    opens = (
        "import torch\nos = torch.os\n\ndef delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n    os.open(PATH, 0)\n"
    )
    reach = Variant(name="reach", source=opens.replace("PATH", repr(path)))
    with graded.kernel(reach) as kernel, pytest.raises(VariantFailed, match=r"PermissionError|FileNotFoundError"):
        kernel(*inputs())


def test_several_threads_use_one_sandbox(sandbox: Sandbox) -> None:
    outputs: list[Tensor] = []

    def use() -> None:
        with sandbox.kernel(seeds()[BASELINE].variant) as kernel:
            outputs.append(kernel(*inputs())[0])

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 6
    assert all(torch.equal(o, outputs[0]) for o in outputs)


def test_one_candidate_going_down_leaves_others_alone(sandbox: Sandbox) -> None:
    with sandbox.kernel(seeds()[BASELINE].variant) as good:
        o = good(*inputs())[0]
        endless = sandbox.kernel(variant("while True: pass"), Limits(wall_seconds=0.5))
        with pytest.raises(VariantFailed), endless as bad:
            bad(*inputs())
        assert torch.equal(good(*inputs())[0], o)


JOB: dict[str, Any] = {
    "model": {"backbone": "language_model", "layer": "delta_net", "vocabulary": 16, "length": 32, "width": 16},
    "lr": 1e-3, "weight_decay": 0.0, "schedule": "constant", "steps": 40, "batch": 8, "seed": 0,
}  # fmt: skip


def data() -> dict[str, Tensor]:
    tokens = torch.randint(16, (64, 33), generator=torch.Generator().manual_seed(0))
    return {"inputs": tokens[:, :-1].contiguous(), "targets": tokens[:, 1:].contiguous()}


def read(path: Path) -> str:
    """A file of /proc; empty where its process or thread has ended meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def grandchildren(pid: int) -> list[int]:
    """All living descendants of a process."""
    threads = Path(f"/proc/{pid}/task")
    found = {int(x) for thread in threads.glob("*") for x in read(thread / "children").split()}
    return sorted(found | {x for child in found for x in grandchildren(child)})


def ticks(pid: int) -> int:
    """Processor time that a process has had, in ticks of the system's."""
    fields = read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if fields else 0


@pytest.mark.parametrize("grade", ["A", "B"])
def test_everything_dies_with_archer(grade: str) -> None:
    script = f"""
        from evaluator.outcomes import Grade
        from evaluator.sandbox import Sandbox, host
        from variants.contract import Variant
        import torch
        host.GRADES = (Grade.{grade},)
        source = {HEAD + "    while True: pass"!r}
        with Sandbox() as sandbox, sandbox.kernel(Variant(name="x", source=source)) as kernel:
            print("running", flush=True)
            kernel(*(torch.ones(1, 1, 2, 2) for _ in range(3)), torch.ones(1, 1, 2))
    """
    archer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert archer.stdout is not None
    assert archer.stdout.readline() == "running\n"
    before: dict[int, int] = {}

    def computing() -> bool:
        for pid in grandchildren(archer.pid):
            before.setdefault(pid, ticks(pid))
        return any(ticks(pid) > since + 10 for pid, since in before.items())

    wait_until(computing, "the call of the endless kernel")
    descendants = grandchildren(archer.pid)
    assert len(descendants) >= 2
    os.kill(archer.pid, signal.SIGKILL)
    archer.wait()
    archer.stdout.close()
    wait_until(lambda: not any(map(runs, descendants)), "the end of what a killed archer had started")


def test_training_gives_weights_and_progress(sandbox: Sandbox) -> None:
    seen: list[Mapping[str, Any]] = []
    output = sandbox.train(seeds()[BASELINE].variant, JOB, data(), on_progress=seen.append)
    assert seen[-1]["step"] == 40
    assert output.weights
    assert all(x.isfinite().all() for x in output.weights.values())
    assert output.cpu_seconds > 0


def test_training_can_be_stopped(sandbox: Sandbox) -> None:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    with pytest.raises(TrainingStopped):
        sandbox.train(variant("while True: pass"), JOB, data(), stop=stop)


@pytest.mark.parametrize(
    "limits", [Limits(wall_seconds=1.0), Limits(wall_seconds=PATIENCE, cpu_seconds=2)], ids=["clock", "CPU time"]
)
def test_training_that_never_ends_is_a_timeout(sandbox: Sandbox, limits: Limits) -> None:
    with pytest.raises(VariantFailed) as caught:
        sandbox.train(variant("while True: pass"), JOB, data(), limits=limits)
    assert caught.value.failure.kind == "timeout"


def test_who_is_killed_long_before_its_cpu_time_is_up_was_not_too_slow() -> None:
    kinds = []
    for seconds, limit in ((10.0, 3600), (3600.0, 3600), (1.4, 2)):
        candidate = SandboxedProcess(Limits(cpu_seconds=limit), lambda _: None, lambda: None)
        candidate.ended.set_result(Ended(code=-9, reason=None, cpu_seconds=seconds))
        kinds.append(candidate.failure().kind)
        candidate.end()
    assert kinds == ["memory", "timeout", "timeout"], "the last by the system's own count of ticks"


def test_a_grade_that_cannot_be_had_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.sandbox.launch._bwrap_path", lambda: "/bin/false")
    with pytest.raises(SandboxUnavailable, match="grade A"):
        Sandbox(minimum=Grade.A)


def test_a_leaking_layer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluator.sandbox.launch.LAYERS", {Grade.B: (True, False)})
    monkeypatch.setattr(host, "GRADES", (Grade.B,))
    with pytest.raises(SandboxUnavailable, match="got through"):
        Sandbox(minimum=Grade.B)


def test_a_candidate_of_a_closed_sandbox_fails_as_ours() -> None:
    sandbox = Sandbox()
    with sandbox.kernel(seeds()[BASELINE].variant) as kernel:
        sandbox.close()
        with pytest.raises(SandboxUnavailable):
            kernel(*inputs())
