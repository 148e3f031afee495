"""Children of this process that run one command each: archer is imported once, and forked for every try."""

import os
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from agent.commands.registry import COMMANDS, find
from archive.seeding import SHIPPED, shipped_trials
from benchmarks.death.injector import Injector, Moment, random_death
from benchmarks.death.scenarios import Scenario, run_words

NEVER = Moment(-1)
LONGEST = 1500.0
"""Seconds after which a child is taken to hang, on a machine that is busy with other things too."""


def import_all() -> None:
    """Import what any command needs, and read what ships, before the first fork."""
    torch.set_num_threads(1)
    for name in COMMANDS:
        find(name)
    for protocol in SHIPPED:
        shipped_trials(protocol)


@dataclass(frozen=True)
class Place:
    """The folder of one try: `files` holds the archive and what is beside it, the logs are outside of that."""

    folder: Path

    @property
    def files(self) -> Path:
        """Where the command runs."""
        return self.folder / "files"

    @property
    def archive(self) -> Path:
        """The archive, if there is one yet."""
        return self.files / "archive"

    @property
    def temporary(self) -> Path:
        """TMPDIR of the command."""
        return self.files / "tmp"

    @property
    def acts(self) -> list[str]:
        """What the injector counted, in order."""
        path = self.folder / "acts"
        return path.read_text().splitlines() if path.exists() else []

    def said(self) -> str:
        """The last line that a command wrote on standard error."""
        path = self.folder / "err"
        lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
        return lines[-1] if lines else ""

    def prepare(self, scenario: Scenario, bases: Path) -> None:
        """Make it as the scenario wants it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        for name, text in scenario.inputs.items():
            (self.files / name).write_text(text)
        if scenario.base:
            shutil.copytree(bases / scenario.base, self.archive)


def start(
    place: Place,
    words: Sequence[str],
    moment: Moment = NEVER,
    *,
    count: bool = True,
    dies: tuple[float, bool] | None = None,
) -> int:
    """Fork a child that runs the words in the place; returns its process id. dies: seconds, and whether the group does.

    count: whether the injector is installed.
    """
    if pid := os.fork():
        return pid
    code = 99
    try:
        os.setsid()
        os.chdir(place.files)
        os.environ["TMPDIR"] = str(place.temporary)
        tempfile.tempdir = None
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(place.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        if count:
            (place.folder / "acts").unlink(missing_ok=True)
            Injector(place.files, moment, place.folder / "acts").install()
        if dies is not None:
            random_death(dies[0], group=dies[1])
        code = run_words(words)
    except BaseException:  # noqa: BLE001 - a forked child never returns
        traceback.print_exc()
    finally:
        os._exit(code if isinstance(code, int) else 99)


def ended(pid: int) -> int:
    """Wait for a child; its exit code, negative for a signal. A child that hangs is killed: -100."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -100


def run(place: Place, words: Sequence[str], **options: object) -> int:
    """Start and wait."""
    return ended(start(place, words, **options))  # type: ignore[arg-type]
