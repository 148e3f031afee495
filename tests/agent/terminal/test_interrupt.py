"""Signals that end a search: each of them keeps what is finished, and archives what is under way as INTERRUPTED."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.terminal.interrupt import interruptible
from archive.store import Archive
from evaluator.outcomes import Status
from tests.waiting import PATIENCE, wait_until

ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDINGS)
def test_the_first_signal_asks_for_an_orderly_end(number: signal.Signals):
    stopped: list[str] = []
    before = signal.getsignal(number)
    with interruptible(lambda: stopped.append("stop"), stopped.append) as interrupted:
        os.kill(os.getpid(), number)
        assert interrupted.is_set()
    assert stopped[0] == "stop"
    assert "INTERRUPTED" in stopped[1]
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_ends_at_once_but_a_second_hangup_does_not():
    with interruptible(lambda: None, lambda _: None), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGINT)


def test_under_nohup_a_hangup_stays_ignored(monkeypatch: pytest.MonkeyPatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(lambda: None, lambda _: None) as interrupted:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not interrupted.is_set()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_a_search_whose_terminal_closes_keeps_its_proposal(tmp_path: Path):
    """A real search in a real terminal, which is closed while it trains."""
    root = tmp_path / "archive"
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "agent.cli", "propose", "--n", "1", "--proposer", "evolve", "--archive", str(root)]
    archer = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""

    def trains() -> bool:
        nonlocal seen
        seen += os.read(ours, 4096)
        return b"training" in seen

    try:
        wait_until(trains, "a proposal is trained")
        os.close(ours)  # the terminal is gone; who has it as a controlling one is told by the kernel, others by a shell
        archer.send_signal(signal.SIGHUP)
        assert archer.wait(PATIENCE) == 130
    finally:
        archer.kill()
        archer.wait()
    (record,) = Archive(root).records()
    assert record.status is Status.INTERRUPTED
