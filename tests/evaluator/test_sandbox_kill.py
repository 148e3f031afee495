"""archer killed at any moment: no process of a variant lives on, and the next start removes the folder it left."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from evaluator.sandbox import folders
from evaluator.sandbox.folders import PrivateFolder, abandoned

ROOT = Path(__file__).parents[2]

BUSY = """
import threading
import torch
from evaluator.sandbox import Sandbox, VariantFailed
from tests.evaluator.test_sandbox import JOB, data, variant

endless, brief = variant("while True: pass"), variant("return v, k.mT @ v")
inputs = tuple(torch.ones(1, 1, 2, 2) for _ in range(3)) + (torch.ones(1, 1, 2),)
sandbox = Sandbox()

def call(what):
    with sandbox.kernel(what) as kernel:
        kernel(*inputs)

call(brief)
for what in (lambda: call(endless), lambda: sandbox.train(endless, JOB, data())):
    threading.Thread(target=what).start()
print("called", flush=True)
while True:
    call(brief)
"""


def left_behind(mark: Path) -> list[int]:
    """Processes that were started with this folder in their command line, as the template and its children are."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            text = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0] if text else "Z"
        except OSError:
            continue
        if os.fsencode(mark) in text and state != "Z":
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize("seconds", [0.3, 1.7, 2.5, None])
def test_nothing_of_a_variant_outlives_a_killed_archer(
    seconds: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it imports, starts its template, releases canaries, trains and calls kernels."""
    archer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUSY)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    )
    assert archer.stdout is not None
    if seconds is None:
        assert archer.stdout.readline() == "called\n"
        time.sleep(0.2)
        assert len(left_behind(tmp_path)) >= 3
    else:
        time.sleep(seconds)
    os.kill(archer.pid, signal.SIGKILL)
    archer.wait()
    archer.stdout.close()
    deadline = time.monotonic() + 2
    while left_behind(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_behind(tmp_path) == []
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    folder = PrivateFolder.fresh()
    assert list(tmp_path.glob("archer-*")) == [folder.path]
    folder.remove()


def test_folders_of_the_living_and_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    living = PrivateFolder()
    (tmp_path / "archer-archive").mkdir()
    somewhere = tmp_path / "somewhere"
    somewhere.mkdir()
    (somewhere / "owner").touch()
    (tmp_path / "archer-link").symlink_to(somewhere)
    dead = tmp_path / "archer-dead"
    dead.mkdir()
    (dead / "owner").touch()
    (dead / "packages").symlink_to(somewhere)
    assert list(abandoned()) == [dead]
    PrivateFolder.fresh().remove()
    assert living.path.exists()
    assert (somewhere / "owner").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [living.path.name, "archer-archive", "archer-link", "somewhere"]
    )
    living.remove()
