"""Fixtures of all tests; what is slow and what is fast is in `tests/tiers.py`."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from variants.contract import BASELINE

if TYPE_CHECKING:  # the process that hands out the tests to others imports this file, and need not wait for torch
    from archive.store import Archive
    from evaluator.sandbox import Sandbox

pytest_plugins = ["tests.tiers"]

# Who starts the tests in the background of a script, or by nohup, passes on that these are ignored; archer keeps it so.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes is the machine's doing.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")


@pytest.fixture
def archive(tmp_path: Path) -> "Archive":
    """A real archive without proposals: the baseline's name over a kernel that nobody runs, with scores."""
    from tests.builders import make_archive_of, make_variant

    return make_archive_of(tmp_path / "search", [make_variant(BASELINE)])


@pytest.fixture
def tiny_smoke(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what is about a search and not about its training: `smoke` means two steps of training in this process."""
    from evaluator.protocols.built_in import PROTOCOLS
    from tests.builders import make_tiny_protocol

    monkeypatch.setitem(PROTOCOLS, "smoke", make_tiny_protocol())


@pytest.fixture(scope="session")
def sandbox(slow_tier: None) -> "Iterator[Sandbox]":
    """One sandbox for all tests that run variants: its start costs seconds."""
    from evaluator.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


class Lent:
    """A sandbox that whoever takes it may close, and which stays open for others."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self.sandbox, self.grade = sandbox, sandbox.grade

    def __enter__(self) -> "Sandbox":
        return self.sandbox

    def __exit__(self, *_: object) -> None:
        """Leave it to its owner."""


@pytest.fixture
def lent_sandbox(sandbox: "Sandbox", monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process take the sandbox of all tests: to start one of their own each costs seconds."""
    monkeypatch.setattr("agent.commands.running_options.Sandbox", lambda **_: Lent(sandbox))
