"""The template process as archer holds it: started in a thread that outlives it, given orders, listened to."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from evaluator.outcomes import Grade
from evaluator.sandbox import launch
from evaluator.sandbox.limits import SandboxUnavailable

BOOT_SECONDS = 120.0
LATE = f"it did not answer within {BOOT_SECONDS:.0f} s, as where others take all of the machine"
EVENT_CAP = 2**16
STOP_SECONDS = 10.0


class Keeper:
    """One running template. heard: gets what it says of its candidates. gone: called with a reason once it ended."""

    def __init__(
        self, grade: Grade, folder: Path, device: str, heard: Callable[[Mapping[str, Any]], None],
        gone: Callable[[SandboxUnavailable], None],
    ) -> None:  # fmt: skip
        self._folder, self._heard, self._gone = folder, heard, gone
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ready: Future[None] = Future()
        self.pid = 0
        self._thread = threading.Thread(target=self._keep, args=(grade, theirs, device), name="sandbox", daemon=True)
        self._thread.start()

    def report_to(self, heard: Callable[[Mapping[str, Any]], None], gone: Callable[[SandboxUnavailable], None]) -> None:
        """From now on tell these."""
        self._heard, self._gone = heard, gone

    def await_ready(self) -> None:
        """Wait until it takes orders. Raises SandboxUnavailable with what it complained of."""
        try:
            self._ready.result(BOOT_SECONDS)
        except (TimeoutError, OSError, SandboxUnavailable) as error:
            complaint = self.complaint()
            self.stop()
            raise SandboxUnavailable(f"{error or LATE}{complaint}") from error

    def order(self, fds: list[int] | None = None, **order: Any) -> None:
        """Send one order. Raises SandboxUnavailable where nobody takes it any more."""
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(order).encode()], fds or [])
            except OSError as error:
                raise SandboxUnavailable(
                    f"the sandbox's template process is gone: {error}{self.complaint()}"
                ) from error

    def stop(self) -> None:
        """End the template, and with it every candidate."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._thread.join(STOP_SECONDS)
        self._control.close()

    def complaint(self) -> str:
        """The end of what it wrote on standard error, in brackets; empty if it did not."""
        log = self._folder / "template.log"
        text = log.read_text(errors="replace").strip() if log.exists() else ""
        return f" ({text[-600:]})" if text else ""

    def _keep(self, grade: Grade, theirs: socket.socket, device: str) -> None:
        try:
            with theirs:
                process = launch.start(grade, self._folder, theirs, device)
        except (OSError, SandboxUnavailable) as error:
            self._ready.set_exception(error)
            return
        self.pid = process.pid
        with suppress(ConnectionResetError):
            while message := self._control.recv(EVENT_CAP):
                event = json.loads(message)
                if event["event"] == "ready":
                    self._ready.set_result(None)
                else:
                    self._heard(event)
        _reap(process)
        if not self._ready.done():
            self._ready.set_exception(SandboxUnavailable("its process ended while it started"))
        self._gone(SandboxUnavailable(f"the sandbox's template process ended{self.complaint()}"))


def _reap(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 2
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
