"""The sandbox as archer sees it: one template process, and candidates started from it by any thread."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any, Self

from torch import Tensor

from evaluator.outcomes import Grade
from evaluator.sandbox import prestart as early
from evaluator.sandbox.canaries import Canary, release_canaries, unexpected
from evaluator.sandbox.candidate import END_SECONDS, Ended, SandboxedProcess
from evaluator.sandbox.client import KernelClient
from evaluator.sandbox.folders import PrivateFolder
from evaluator.sandbox.frames import DeadlinePassed, FrameError, PeerGone
from evaluator.sandbox.gpu_memory import Usage, Watch, nvml
from evaluator.sandbox.limits import Limits, SandboxUnavailable
from evaluator.sandbox.lockdown import hide_this_process
from evaluator.sandbox.template_process import Keeper
from evaluator.sandbox.training import TrainingOutput, receive_weights, training_watched
from variants.contract import Variant

GRADES = tuple(Grade)


class Sandbox:
    """Runs variants in locked-down processes. A context manager; its methods may be called from several threads.

    minimum: the weakest grade to accept. gpu_usage: who holds how much of the GPUs' memory; by default NVML's word, on
    CUDA. Raises SandboxUnavailable where none of it can be had.
    """

    def __init__(self, *, minimum: Grade = Grade.B, device: str = "cpu", gpu_usage: Usage | None = None) -> None:
        self.device = device
        self._candidates: dict[str, SandboxedProcess] = {}
        self._watch: Watch | None = None
        self._early = early.take(device)
        self._folder = self._early.folder if self._early else PrivateFolder.fresh()
        hide_this_process()
        try:
            self.grade = self._boot([grade for grade in GRADES if grade <= minimum])
        except BaseException:
            self._folder.remove()
            raise
        usage = gpu_usage or (nvml() if device.startswith("cuda") else None)
        if usage is not None:
            self._watch = Watch(usage, self._keeper.pid, self._holds_too_much)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the template and every candidate."""
        if self._watch is not None:
            self._watch.stop()
        self._keeper.stop()
        self._folder.remove()

    @contextmanager
    def kernel(self, variant: Variant, limits: Limits | None = None) -> Iterator[KernelClient]:
        """A fresh process that serves the variant's kernel. Raises VariantFailed where its source cannot be loaded."""
        limits = limits or Limits()
        with self._candidate("kernel", limits) as candidate:
            client = KernelClient(candidate, variant, limits, self.device)
            yield client
        with suppress(SandboxUnavailable, TimeoutError):  # a sandbox that was closed meanwhile cannot say
            client.cpu_seconds = candidate.ended.result(END_SECONDS).cpu_seconds

    def train(
        self,
        variant: Variant,
        job: Mapping[str, Any],
        data: Mapping[str, Tensor],
        *,
        on_progress: Callable[[Mapping[str, Any]], None] = lambda _: None,
        limits: Limits | None = None,
        stop: threading.Event | None = None,
    ) -> TrainingOutput:
        """Train in a fresh process with `evaluator.training.train.train(job, data, kernel, report)`.

        on_progress gets what `report` was given: untrusted, for reading only. The weights are untrusted too: check
        names and shapes. Raises VariantFailed, TrainingStopped, and whatever on_progress raises.
        """
        limits = limits or Limits(wall_seconds=3600.0)
        with self._candidate("train", limits) as candidate:
            with training_watched(candidate, limits, stop) as deadline:
                source = {"name": variant.name, "source": variant.source, "function": variant.contract.function}
                candidate.channel.send({**source, "job": dict(job)}, data, deadline)
                weights = receive_weights(candidate.channel, on_progress, deadline)
            log = candidate.log_tail()
        return TrainingOutput(weights, candidate.ended.result(END_SECONDS).cpu_seconds, log)

    def attack(self) -> list[Canary]:
        """Attacks on this sandbox from inside it, see `canaries`."""
        with self._candidate("attack", Limits()) as candidate:
            try:
                return release_canaries(candidate.channel, self._folder.path / "decoy")
            except (PeerGone, DeadlinePassed, FrameError) as error:
                raise SandboxUnavailable(f"its test process failed: {candidate.failure().message}") from error

    @contextmanager
    def _candidate(self, mode: str, limits: Limits) -> Iterator[SandboxedProcess]:
        name = secrets.token_hex(8)
        keeper = self._keeper
        candidate = SandboxedProcess(
            limits,
            lambda reason: keeper.order(op="kill", name=name, reason=reason),
            lambda: keeper.order(op="cpu", name=name),
        )
        self._candidates[name] = candidate
        try:
            candidate.hand_over(lambda fds: keeper.order(fds, op="spawn", name=name, mode=mode, limits=asdict(limits)))
            candidate.await_start()
            yield candidate
        finally:
            candidate.end()
            del self._candidates[name]
            if self._watch is not None:
                self._watch.remove(name)

    def _boot(self, grades: list[Grade]) -> Grade:
        tried = []
        for grade in grades:
            try:
                self._start(grade)
            except SandboxUnavailable as error:
                tried.append(f"grade {grade}: {error}")
            else:
                self._keeper.order(op="warm up")
                return grade
        raise SandboxUnavailable(
            f"no sandbox of grade {grades[-1]} or better. "
            + "; ".join(tried)
            + ". Install bubblewrap, and use a kernel "
            "with unprivileged user namespaces or Landlock (5.13); `archer doctor` shows which attacks get through."
        )

    def _start(self, grade: Grade) -> None:
        """Start a template and prove its grade."""
        begun, self._early = self._early, None
        if begun and grade is Grade.A:
            self._keeper = begun.keeper
            self._keeper.report_to(self._on_news, self._on_gone)
        else:
            self._keeper = Keeper(grade, self._folder.path, self.device, self._on_news, self._on_gone)
        self._keeper.await_ready()
        try:
            if leaks := unexpected(self.attack(), grade):
                raise SandboxUnavailable(f"these attacks got through: {', '.join(leaks)}")
        except SandboxUnavailable:
            self._keeper.stop()
            raise

    def _on_news(self, event: Mapping[str, Any]) -> None:
        candidate = self._candidates.get(event["name"])
        if candidate is None:
            return
        if event["event"] == "begun":
            if self._watch is not None:
                self._watch.add(event["name"], event["pid"], candidate.limits.gpu_bytes)
        elif event["event"] == "cpu":
            candidate.cpu.put(event["cpu_seconds"])
        else:
            candidate.cpu.put(event["cpu_seconds"])  # for who asked a moment too late
            candidate.ended.set_result(Ended(event["code"], event["reason"], event["cpu_seconds"]))

    def _holds_too_much(self, name: str) -> None:
        if (candidate := self._candidates.get(name)) is not None:
            with suppress(SandboxUnavailable):  # a sandbox that is closed has ended its candidates
                candidate.kill("GPU memory")

    def _on_gone(self, reason: SandboxUnavailable) -> None:
        for candidate in list(self._candidates.values()):
            if not candidate.ended.done():
                candidate.ended.set_exception(reason)


def canaries(sandbox: Sandbox) -> list[Canary]:
    """(what was tried, whether it was stopped, by which error) for every attack, made in the sandbox just now."""
    return sandbox.attack()
