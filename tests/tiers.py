"""Two tiers of tests, and the guard that keeps the fast one fast. A pytest plugin.

A test is slow if it is marked `slow`, or its module is, or if it uses the fixture `slow_tier`, be it through others:
whoever writes a fixture that starts something has it ask for `slow_tier`. All other tests are fast: `make test-fast`.

A fast test starts no sandbox, trains nothing and runs no program but those of PROGRAMS. The guard refuses it there and
then, and fails the test: in `make test` too, so that a forgotten mark is found wherever the test runs. One test of all,
marked `one_sandbox`, may start one sandbox.
"""

import gc
import os
import shutil
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from evaluator.sandbox.launch import BOOT

SLOW = "slow"
ONE_SANDBOX = "one_sandbox"
PROGRAMS = frozenset({"git", "ruff", "sh", "uname"})
"""`sh` runs the user's pager, and `uname` is how Python learns what machine it is on."""
MARKS = {
    SLOW: "takes seconds, trains, or starts a sandbox, browser, Ray, model server or another Python",
    ONE_SANDBOX: "the one test of the fast tier that may start a sandbox, and only one",
}


class TierError(PermissionError):
    """What a test of the fast tier may not do. An OSError: whoever starts programs expects these."""


class Guard:
    """Hears of every start of a program and of every step of an optimiser in this process."""

    def __init__(self) -> None:
        self.limit: int | None = None
        """Sandboxes that may be started now; None while there is no limit on anything."""
        self.sandboxes: set[str] = set()
        """Private folders of those that were."""
        self.refused: list[str] = []
        self.marked: list[str] = []
        """Tests that are marked `one_sandbox`."""

    def watch(self, limit: int | None) -> None:
        """From now on allow so many sandboxes, and nothing else that is slow; None allows everything."""
        self.limit, self.sandboxes, self.refused = limit, set(), []

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook. Raises TierError for a start that is not allowed now."""
        if event != "subprocess.Popen" or self.limit is None:
            return
        executable, command, folder, _ = arguments
        program = Path(os.fsdecode(executable)).name
        if any(BOOT in str(part) for part in command):  # started again in its folder, it is another try of the same one
            self.sandboxes.add(str(folder))
            if len(self.sandboxes) > self.limit:
                self.refuse(f"sandbox number {len(self.sandboxes)}")
        elif program not in PROGRAMS and shutil.which(executable):
            self.refuse(f"the program {program}")

    def step(self, *_: object) -> None:
        """A hook of every optimiser. Raises TierError if nothing may be trained now."""
        if self.limit is not None:
            self.refuse("training")

    def refuse(self, what: str) -> None:
        """Remember, for whoever swallows the error, and raise TierError."""
        self.refused.append(what)
        raise TierError(self.complaint())

    def complaint(self) -> str:
        """What was refused, and what to do about it."""
        return f"not in the fast tier: {', '.join(self.refused)}; mark the test, or its module, pytest.mark.{SLOW}"


GUARD = Guard()
gc.disable()  # until all is collected: what is imported stays, and to look for garbage in it takes a tenth of the time


@pytest.fixture(scope="session")
def slow_tier() -> None:
    """For fixtures that start a sandbox or the like: every test that uses them is slow."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


@pytest.hookimpl(tryfirst=True)  # before -m selects by the marks
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark what is slow by its fixtures, and note who wants the one sandbox."""
    for item in items:
        if slow_tier.__name__ in getattr(item, "fixturenames", ()):
            item.add_marker(SLOW)
    GUARD.marked = [item.nodeid for item in items if item.get_closest_marker(ONE_SANDBOX)]


def pytest_collection_finish() -> None:
    """Begin to listen, in the process that runs the tests."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    sys.addaudithook(GUARD.hear)
    register_optimizer_step_pre_hook(GUARD.step)
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Watch the test with its fixtures."""
    slow = item.get_closest_marker(SLOW) is not None
    GUARD.watch(None if slow else int(item.get_closest_marker(ONE_SANDBOX) is not None))
    try:
        return (yield)
    finally:
        GUARD.watch(None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail all that want the one sandbox if there are several."""
    if item.nodeid in GUARD.marked and len(GUARD.marked) > 1:
        pytest.fail(f"only one test may be marked {ONE_SANDBOX}: {', '.join(GUARD.marked)}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Fail a test that passed although something of it was refused."""
    result = yield
    if GUARD.refused:
        pytest.fail(GUARD.complaint(), pytrace=False)
    return result
