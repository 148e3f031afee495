"""Terminals that are not UTF-8: ASCII that says the same, in every command, and never a traceback."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from agent.cli import run
from agent.commands.registry import COMMANDS
from agent.terminal.console import Grid, SafeConsole
from agent.terminal.plain_ascii import speak_ascii, to_ascii
from archive.store import Archive
from evaluator.outcomes import CurvePoint, Finding
from tests.builders import SOURCE, make_check, make_predictions, make_record, make_trials, make_variant

READING = [
    *(["show", "1"], ["show", "1", "--json"], ["list"], ["diff", "1"], ["diff", "1", "--full"], ["versus", "1"]),
    *(["leaderboard"], ["leaderboard", "--front"], ["leaderboard", "--protocol", "quick", "--format", "markdown"]),
    *(["calibration"], ["verify"], ["protocol", "list"], ["protocol", "show", "quick", "--no-cost"]),
    *(["export", "1", "--json"], ["show", "ä"], ["report", "--out", "site"], ["compare"]),
]


@pytest.fixture
def greek(archive: Archive) -> Archive:
    """A record whose words and code are full of what ASCII lacks."""
    variant = make_variant(source=f"{SOURCE}# β ≤ 1 → ∂\n")
    points = (CurvePoint(step=1, loss=2.0), CurvePoint(step=2, loss=1.0))
    told = make_record(
        source=variant.source,
        title="Größe → β ±1 日本",
        predictions=make_predictions(),
        trials=make_trials(variant, 0.6, curve=points),
        check=make_check(Finding(check="prefix", status="fail", message="max |Δ| 0.1"), name="x"),
    )
    archive.tell(told, "# β\n\nS ← S + k uᵀ\n")
    return archive


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


def written(where: io.TextIOWrapper) -> bytes:
    assert isinstance(where.buffer, io.BytesIO)
    return where.buffer.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "koi8-r"])
def test_every_command_that_reads_prints_ascii(
    encoding: str, greek: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHER_ARCHIVE", str(greek.root))
    for command in READING:
        out, err = stream(encoding), stream(encoding)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        speak_ascii(out, err)
        code = run(command)
        assert written(out).isascii(), command
        assert written(err).isascii(), command
        assert code == (2 if command in (["show", "ä"], ["compare"]) else 0), (command, written(err))
        if "--json" in command:
            assert "β" in json.dumps(json.loads(written(out)), ensure_ascii=False)


def test_help_is_ascii_everywhere(capsys: pytest.CaptureFixture[str]):
    for arguments in ([], ["--help"], *([command, "--help"] for command in COMMANDS)):
        run(arguments)
        assert capsys.readouterr().out.isascii(), arguments


def test_an_exported_file_is_that_of_the_archive_whatever_the_terminal(greek: Archive, monkeypatch: pytest.MonkeyPatch):
    out = stream("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    speak_ascii(out)
    assert run(["export", "1", "--archive", str(greek.root)]) == 0
    assert written(out).decode() == greek.record("1").proposal.variant.source


def test_tables_stay_aligned():
    def lines(encoding: str) -> list[str]:
        where = stream(encoding)
        speak_ascii(where)
        out = SafeConsole(file=where, width=80)
        table = Table("ä", "b")
        table.add_row("0.5 ±0.1", "–")
        out.print(Grid(("a", "b"), [("0.5 ±0.1", "x"), ("–", "y")]), table)
        return written(where).decode(encoding).splitlines()

    grid, table = lines("ascii")[:3], lines("ascii")[3:]
    assert [line.rstrip() for line in grid] == ["a          b", "0.5 +-0.1  x", "-          y"]
    assert len({len(line.rstrip()) for line in table}) == 1
    assert "±" in "".join(lines("utf-8"))


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("plain", "plain"),
        ("0.44 ±0.02", "0.44 +-0.02"),
        ("Δβ ≤ ∂S → …", "Deltabeta <= dS -> ..."),
        ("┏━┳╌┃", "+-+-|"),
        ("Größe é u² kᵀ", "Grosse e u2 kT"),
        ("日\udc80", "??"),
    ],
)
def test_what_is_spelled(text: str, spelled: str):
    assert to_ascii(text) == spelled


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "commands"),
    [
        ({"PYTHONIOENCODING": "ascii"}, ["show 1"]),
        ({"PYTHONIOENCODING": "latin-1"}, ["show 1"]),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            ["show 1", "doctor", "check läck.py", "check fehlt_ä.py", "list"],
        ),
    ],
    ids=["ascii", "latin-1", "C"],
)
def test_a_process_of_its_own_speaks_ascii(
    environment: dict[str, str], commands: list[str], greek: Archive, tmp_path: Path
):
    (tmp_path / "läck.py").write_text(SOURCE, encoding="utf-8")
    own = {"ARCHER_ARCHIVE": str(greek.root), "PYTHONPATH": str(Path(__file__).parents[3])}
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "agent.cli", *command.split()],
            cwd=tmp_path,
            env=os.environ | environment | own,
            capture_output=True,
            check=False,
        )
        assert (done.stdout + done.stderr).isascii(), command
        assert b"Traceback" not in done.stderr
        assert done.returncode != 3
