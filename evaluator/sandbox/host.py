"""The sandbox as archer sees it: one template process, and candidates started from it by any thread."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from evaluator.outcomes import Grade
from evaluator.sandbox import launch
from evaluator.sandbox.canaries import Canary, release_canaries, unexpected
from evaluator.sandbox.candidate import END_SECONDS, Candidate, Ended
from evaluator.sandbox.client import KernelClient
from evaluator.sandbox.frames import Channel, DeadlinePassed, FrameError, PeerGone
from evaluator.sandbox.limits import Limits, SandboxUnavailable
from evaluator.sandbox.lockdown import hide_this_process
from evaluator.sandbox.training import TrainingOutput, run_training
from variants.contract import Variant

BOOT_SECONDS = 60.0
GRADES = tuple(Grade)
EVENT_CAP = 2**16
SOCKET_BUFFER = 2**18


class Sandbox:
    """Runs variants in locked-down processes. A context manager; its methods may be called from several threads.

    minimum: the weakest grade to accept. Raises SandboxUnavailable where none of it can be had.
    """

    def __init__(self, *, minimum: Grade = Grade.B, device: str = "cpu") -> None:
        self.device = device
        self._candidates: dict[str, Candidate] = {}
        self._lock = threading.Lock()
        self._folder = Path(tempfile.mkdtemp(prefix="archer-"))
        hide_this_process()
        try:
            self.grade = self._boot([grade for grade in GRADES if grade <= minimum])
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the template and every candidate."""
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def kernel(self, variant: Variant, limits: Limits | None = None) -> Iterator[KernelClient]:
        """A fresh process that serves the variant's kernel. Raises VariantFailed where its source cannot be loaded."""
        limits = limits or Limits()
        with self._candidate("kernel", limits) as candidate:
            client = KernelClient(candidate, variant, limits)
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
        """Train in a fresh process with `evaluator.training.train(job, data, kernel, report)`.

        on_progress gets what `report` was given: untrusted, for reading only. The weights are untrusted too: check
        names and shapes. Raises VariantFailed, TrainingStopped, and whatever on_progress raises.
        """
        limits = limits or Limits(wall_seconds=3600.0)
        with self._candidate("train", limits) as candidate:
            weights = run_training(candidate, variant, job, data, on_progress, limits, stop)
            log = candidate.log_tail()
        return TrainingOutput(weights, candidate.ended.result(END_SECONDS).cpu_seconds, log)

    def attack(self) -> list[Canary]:
        """Attacks on this sandbox from inside it, see `canaries`."""
        with self._candidate("attack", Limits()) as candidate:
            try:
                return release_canaries(candidate.channel, self._folder / "decoy")
            except (PeerGone, DeadlinePassed, FrameError) as error:
                raise SandboxUnavailable(f"its test process failed: {candidate.failure().message}") from error

    @contextmanager
    def _candidate(self, mode: str, limits: Limits) -> Iterator[Candidate]:
        name = secrets.token_hex(8)
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        ours.setblocking(False)
        log = os.memfd_create("log")
        candidate = Candidate(
            Channel(ours.fileno()), log, lambda reason: self._order(op="kill", name=name, reason=reason)
        )
        self._candidates[name] = candidate
        order = {"op": "spawn", "name": name, "mode": mode, "limits": limits.model_dump()}
        try:
            with theirs:
                self._order([theirs.fileno(), log], **order)
            self._await_start(candidate)
            yield candidate
        finally:
            self._end(candidate, ours)
            os.close(log)
            del self._candidates[name]

    def _await_start(self, candidate: Candidate) -> None:
        """Wait until it is locked down: on a busy machine that takes a while, which no variant shall be blamed for."""
        try:
            candidate.channel.receive(0, time.monotonic() + BOOT_SECONDS)
        except (PeerGone, DeadlinePassed, FrameError) as error:
            raise SandboxUnavailable(
                f"a candidate did not start: {candidate.log_tail(400).strip() or error}"
            ) from error

    def _end(self, candidate: Candidate, ours: socket.socket) -> None:
        """Close the channel, at which an honest worker exits at once; a candidate that lingers is killed."""
        candidate.channel.fd = -1  # the number may name another file soon
        ours.close()
        with suppress(SandboxUnavailable):
            try:
                candidate.ended.result(0.2)
            except TimeoutError:
                candidate.kill("closed")
                with suppress(TimeoutError):
                    candidate.ended.result(END_SECONDS)

    def _order(self, fds: list[int] | None = None, **order: Any) -> None:
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(order).encode()], fds or [])
            except OSError as error:
                raise SandboxUnavailable(
                    f"the sandbox's template process is gone: {error}{self._complaint()}"
                ) from error

    def _boot(self, grades: list[Grade]) -> Grade:
        tried = []
        for grade in grades:
            try:
                self._start(grade)
                self._prove(grade)
            except SandboxUnavailable as error:
                tried.append(f"grade {grade}: {error}")
            else:
                self._order(op="warm up")
                return grade
        raise SandboxUnavailable(
            f"no sandbox of grade {grades[-1]} or better. "
            + "; ".join(tried)
            + ". Install bubblewrap, and use a kernel "
            "with unprivileged user namespaces or Landlock (5.13); `archer doctor` shows which attacks get through."
        )

    def _start(self, grade: Grade) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ready: Future[None] = Future()
        self._keeper = threading.Thread(target=self._keep, args=(grade, theirs, ready), name="sandbox", daemon=True)
        self._keeper.start()
        try:
            ready.result(BOOT_SECONDS)
        except (TimeoutError, OSError, SandboxUnavailable) as error:
            complaint = self._complaint()
            self._stop()
            raise SandboxUnavailable(f"{error or 'no answer in time'}{complaint}") from error

    def _prove(self, grade: Grade) -> None:
        try:
            if leaks := unexpected(self.attack(), grade):
                raise SandboxUnavailable(f"these attacks got through: {', '.join(leaks)}")
        except SandboxUnavailable:
            self._stop()
            raise

    def _keep(self, grade: Grade, theirs: socket.socket, ready: Future[None]) -> None:
        """Start the template and listen to it, in a thread of its own that lives as long as the template does."""
        try:
            with theirs:
                process = launch.start(grade, self._folder, theirs, self.device)
        except (OSError, SandboxUnavailable) as error:
            ready.set_exception(error)
            return
        with suppress(ConnectionResetError):
            while message := self._control.recv(EVENT_CAP):
                event = json.loads(message)
                if event.pop("event") == "ready":
                    ready.set_result(None)
                elif candidate := self._candidates.get(event.pop("name")):
                    candidate.ended.set_result(Ended(**event))
        _reap(process)
        if not ready.done():
            ready.set_exception(SandboxUnavailable("its process ended while it started"))
        for candidate in list(self._candidates.values()):
            if not candidate.ended.done():
                candidate.ended.set_exception(
                    SandboxUnavailable(f"the sandbox's template process ended{self._complaint()}")
                )

    def _stop(self) -> None:
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._keeper.join(END_SECONDS)
        self._control.close()

    def _complaint(self) -> str:
        log = self._folder / "template.log"
        text = log.read_text(errors="replace").strip() if log.exists() else ""
        return f" ({text[-600:]})" if text else ""


def _reap(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 2
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()


def canaries(sandbox: Sandbox) -> list[Canary]:
    """(what was tried, whether it was stopped, by which error) for every attack, made in the sandbox just now."""
    return sandbox.attack()
