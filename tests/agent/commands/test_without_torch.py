"""Commands that only read and write files wait for no large package: not for torch, nor for `scipy.stats`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import WITH_TORCH
from agent.commands.registry import COMMANDS
from archive.store import Archive
from archive.tables.leaderboard_csv import PUBLISHED
from tests.builders import make_archive_of, make_record, make_variant
from variants.contract import BASELINE

RUN = """
import json, sys
from agent.cli import run
for arguments in json.loads(sys.argv[1]):
    code = run(arguments)
    assert code == 0, (arguments, code)
    for large in ("torch", "scipy.stats"):
        assert large not in sys.modules, (arguments, large)
"""
ARGUMENTS = {
    "calibration": [],
    "diff": ["1"],
    "export": ["1", "--out", "mine.py"],
    "import-csv": [str(PUBLISHED)],
    "init": ["fresh"],
    "leaderboard": [],
    "list": [],
    "merge": ["other"],
    "report": [],
    "show": ["1"],
    "verify": [],
    "versus": ["1", BASELINE],
}


def test_each_command_is_of_one_kind() -> None:
    assert {*ARGUMENTS} | {*WITH_TORCH} == set(COMMANDS)
    assert not {*ARGUMENTS} & {*WITH_TORCH}


@pytest.mark.slow
def test_no_large_package(archive: Archive, tmp_path: Path) -> None:
    archive.tell(make_record(), "# one\n")
    make_archive_of(tmp_path / "other", [make_variant(BASELINE)])
    calls = json.dumps([[command, *rest, "--archive", str(archive.root)] for command, rest in ARGUMENTS.items()])
    done = subprocess.run([sys.executable, "-c", RUN, calls], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
