"""A sample of `python -m benchmarks.death`: wherever a command is killed, the archive is whole and the next goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # whole commands, each killed and called again

ROOT = Path(__file__).parents[1]
SAMPLE = ("--moments", "1", "--blow", "kill", "group", "full", "--", "init", "merge", "writes of a search")


def test_whatever_the_moment_the_archive_is_whole_and_the_next_run_goes_on(tmp_path: Path) -> None:
    seed = os.environ.get("ARCHER_TEST_SEED") or str(int.from_bytes(os.urandom(4)))
    command = [sys.executable, "-m", "benchmarks.death", "--folder", tmp_path, "--seed", seed, *SAMPLE]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    found = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(found) == 9
    assert [result for result in found if result["wrong"]] == [], f"ARCHER_TEST_SEED={seed}"
