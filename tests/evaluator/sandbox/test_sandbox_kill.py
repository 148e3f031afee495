"""archer killed at any moment: no process of a variant lives on, and the next start removes the folder it left.

`python -m benchmarks.kills` does the same to whole commands, as often as one likes, and says how soon all are gone.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pytest

from benchmarks.kills import GIVE_UP, left_behind, seconds_until_gone
from evaluator.sandbox import folders
from evaluator.sandbox.folders import PrivateFolder, abandoned
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]

NURSERY = """
import os, sys, threading
import torch
from evaluator.trials import run_trial as trial
from evaluator.checks import check
from evaluator.protocols.protocol import trial_specs
from evaluator.protocols.built_in import SMOKE
from evaluator.sandbox import Sandbox
from evaluator.sandbox.template_process import Keeper
from tests.evaluator.sandbox.test_sandbox import JOB, data, variant
from variants.contract import BASELINE
from variants.seeds import seed_variants

endless, baseline = variant("while True: pass"), seed_variants()[BASELINE]
inputs = tuple(torch.ones(1, 1, 2, 2) for _ in range(3)) + (torch.ones(1, 1, 2),)
(spec,) = trial_specs(SMOKE, ["Memorize"], [0])

def call(what):
    with sandbox.kernel(what) as kernel:
        kernel(*inputs)

def score():
    same = lambda q, k, v, beta, chunk_size: (v, k.mT @ v)
    weights = trial.train(job.model_dump(), SMOKE.training_data(spec), same, lambda _: None)
    while True:
        trial.scored_outcome(weights, job, SMOKE, spec, baseline, sandbox)

job = SMOKE.job(spec, baseline.layer).model_copy(update={"steps": 2})
duties = {
    "template": [],
    "boot": [],
    "checks": [lambda: [check(baseline, sandbox) for _ in range(100)]],
    "training": [lambda: sandbox.train(endless, JOB, data())],
    "scoring": [score],
    "two workers": [lambda: call(endless), lambda: call(endless)],
}

def tell(what, pid=None):
    os.write(1, f"{pid or os.getpid()} {what}\\n".encode())

ready = Keeper.await_ready
Keeper.await_ready = lambda keeper: (ready(keeper), tell("boot"))
for line in sys.stdin:
    if pid := os.fork():
        os.waitpid(pid, 0)
        tell("end", pid)
        continue
    tell("template")
    sandbox = Sandbox()
    for duty in duties[line.strip()]:
        threading.Thread(target=duty).start()
    tell(line.strip())
    threading.Event().wait()  # for ever
"""


@pytest.fixture
def nursery(slow_tier: None, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has imported torch, and forks an archer for each line that it gets."""
    command = [sys.executable, "-c", NURSERY]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, text=True, **pipes
    ) as process:
        yield process
        process.kill()


SPANS = {"template": 1.2, "boot": 0.1, "checks": 1.0, "training": 2.0, "scoring": 0.6, "two workers": 0.5}
"""Seconds from when it begins."""


def test_nothing_of_a_variant_outlives_a_killed_archer(
    nursery: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at a random moment of each part of its life; an endless kernel ends by itself in none of them."""
    seed = int(os.environ.get("ARCHER_TEST_SEED") or random.SystemRandom().randrange(2**32))
    drawn = random.Random(seed)
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    met, killed = 0, list[int]()
    for part, span in drawn.sample(list(SPANS.items()), len(SPANS)):
        nursery.stdin.write(f"{part}\n")
        nursery.stdin.flush()
        killed.append(_who_came_to(part, nursery.stdout, killed))
        time.sleep(drawn.random() * span)
        met += len(left_behind(tmp_path))
        os.kill(killed[-1], signal.SIGKILL)
        assert seconds_until_gone(tmp_path) < GIVE_UP, f"killed in {part!r}; ARCHER_TEST_SEED={seed}"
    assert met > 2 * len(SPANS), "nearly all of these had a template, a namespace and most a candidate to lose"
    for pid in killed:  # the last one may hold its folder for a moment yet
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "the end of a killed archer")
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(folders, "UNOWNED_SECONDS", 0.0)  # one may have been killed before its folder had an owner
    folder = PrivateFolder.fresh()
    assert list(tmp_path.glob("archer-*")) == [folder.path]
    folder.remove()


def _who_came_to(part: str, news: Iterable[str], killed: Collection[int]) -> int:
    """Wait until a living archer tells of this part; its process number. One that ends by itself fails the test."""
    for line in news:
        pid, begun = line.split(maxsplit=1)
        if int(pid) not in killed:
            assert begun.strip() != "end", f"an archer ended before {part!r}"
            if begun.strip() == part:
                return int(pid)
    pytest.fail("the nursery ended")


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
    unfinished, fresh, foreign = (tmp_path / f"archer-{name}" for name in ("u_nfin15", "fre5h_00", "4ore1gn_"))
    for folder in (unfinished, fresh, foreign):
        folder.mkdir(0o700)
        (folder / ("packages" if folder is unfinished else "home" if folder is fresh else "thesis")).mkdir()
    for folder in (unfinished, foreign):
        os.utime(folder, (0, 0))
    assert sorted(abandoned()) == [dead, unfinished]
    PrivateFolder.fresh().remove()
    assert living.path.exists()
    assert (somewhere / "owner").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [living.path.name, "archer-archive", "archer-link", "somewhere", fresh.name, foreign.name]
    )
    living.remove()
