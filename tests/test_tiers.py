"""The guard of the fast tier, against a test file that breaks its rules in every way."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAD = """
import subprocess
import sys

import pytest
import torch

from evaluator.outcomes import Grade
from evaluator.sandbox import Sandbox, SandboxUnavailable
from tests.builders import make_trial
from tests.conftest import sandbox

pytest_plugins = ["tests.tiers"]


def start():
    with Sandbox(minimum=Grade.D) as sandbox:
        return sandbox.grade


def train():
    weight = torch.zeros(1, requires_grad=True)
    weight.sum().backward()
    torch.optim.AdamW([weight]).step()

"""
BROKEN = """
def test_a_sandbox():
    start()


def test_a_sandbox_although_its_failure_is_handled():
    with pytest.raises(SandboxUnavailable):
        start()


def test_training():
    train()


def test_another_python():
    subprocess.run([sys.executable, "-c", "pass"], check=True)


@pytest.mark.one_sandbox
def test_a_second_sandbox():
    start()
    start()
"""
SOUND = """
@pytest.mark.one_sandbox
def test_the_one_sandbox():
    start()


def test_git_and_a_program_that_is_not_there():
    subprocess.run(["git", "--version"], check=True)
    with pytest.raises(FileNotFoundError):
        subprocess.run(["no-such-program"], check=False)


def test_slow_by_its_fixture(sandbox):
    start()


@pytest.mark.slow
def test_slow_by_its_mark():
    train()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
"""


def outcomes(tests: str, tmp_path: Path, *options: str) -> tuple[dict[str, str], str]:
    """Outcome of each test of such a file, and everything that pytest said."""
    file = tmp_path / "test_such.py"
    file.write_text(HEAD + tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-rA", f"--rootdir={tmp_path}", *options, str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    return {test: outcome for outcome, test in re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", said, re.M)}, said


@pytest.mark.slow
def test_a_fast_test_that_does_what_is_slow_fails(tmp_path: Path) -> None:
    found, said = outcomes(BROKEN, tmp_path)
    assert len(found) == BROKEN.count("def test_")
    assert set(found.values()) == {"FAILED"}
    for what in ("sandbox number 1", "sandbox number 2", "training", f"the program {Path(sys.executable).name}"):
        assert f"not in the fast tier: {what}; mark the test" in said


@pytest.mark.slow
def test_what_is_marked_may_do_it_and_is_left_out_of_the_fast_tier(tmp_path: Path) -> None:
    found, said = outcomes(SOUND, tmp_path)
    assert set(found.values()) == {"PASSED"}, said
    _, said = outcomes(SOUND, tmp_path, "-m", "not slow", "--collect-only", "-q")
    fast = re.findall(r"::(\w+)$", said, re.M)
    assert sorted(fast) == ["test_git_and_a_program_that_is_not_there", "test_the_one_sandbox"]


@pytest.mark.slow
def test_only_one_test_may_have_the_one_sandbox(tmp_path: Path) -> None:
    found, said = outcomes(f"{SOUND}\n{BROKEN}", tmp_path, "-k", "test_the_one_sandbox or test_a_second_sandbox")
    assert found == {"test_the_one_sandbox": "ERROR", "test_a_second_sandbox": "ERROR"}
    assert "only one test may be marked one_sandbox" in said
