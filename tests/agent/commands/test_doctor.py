"""`archer doctor`: what it says of each part that is there, weak, missing or damaged. The parts are real ones.

What it says of endpoints is tested beside these: `tests/agent/proposers/llm/test_doctor.py`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.commands.doctor import Sign, _archive, _git
from agent.errors import DONE, NO, USAGE
from archive.store import Archive
from evaluator.outcomes import Grade, Status
from evaluator.sandbox import host
from evaluator.sandbox.attacks import ATTACKS, ONLY_BY_LANDLOCK
from tests.agent.commands.conftest import Run
from tests.builders import make_record
from variants.contract import BASELINE
from variants.seeds import seed_variants

WITHOUT_ANY_LAYER = {"write a file", "open a network connection", "start a process", "run a program", "outlive archer"}
"""Attacks that nothing but the layers of the sandbox stops."""


@pytest.fixture
def without_git(tmp_path: Path) -> Path:
    """A folder for PATH that has a shell and no git."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to(shutil.which("sh") or "/bin/sh")
    return folder


@pytest.fixture
def failing_bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bubblewrap that fails, as where the kernel refuses user namespaces."""
    program = tmp_path / "bwrap" / "bwrap"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def signs(out: str) -> dict[str, Sign]:
    """What the document says of each part, but for the canaries."""
    return {sign["name"]: Sign(**sign) for sign in json.loads(out) if sign["name"] != "canary"}


def leaks(out: str) -> set[str]:
    """Attacks that got through; asserts that every attack was made."""
    canaries = {sign["found"].partition(":")[0]: sign["state"] for sign in json.loads(out) if sign["name"] == "canary"}
    assert list(canaries) == list(ATTACKS)
    return {name for name, state in canaries.items() if state == "missing"}


@pytest.mark.slow
def test_a_machine_that_has_all_but_an_endpoint(archer: Run, archive: Archive) -> None:
    code, out, err = archer("doctor", "--archive", archive.root, "--json")
    found = signs(out)
    assert (code, err) == (DONE, "")
    assert {name: sign.state for name, sign in found.items()} == {
        "python": "ok", "torch": "ok", "git": "ok", "sandbox": "ok", "model": "warning", "archive": "ok",
    }  # fmt: skip
    assert (found["sandbox"].found, found["sandbox"].advice, leaks(out)) == ("grade A", "", set())


@pytest.mark.slow
def test_a_machine_without_namespaces_has_grade_b(archer: Run, failing_bwrap: None) -> None:
    code, out, _ = archer("doctor", "--json")
    sandbox = signs(out)["sandbox"]
    assert (code, sandbox.state, sandbox.found, leaks(out)) == (DONE, "ok", "grade B", set())
    assert "install bubblewrap and allow user namespaces" in sandbox.advice


@pytest.mark.slow
@pytest.mark.parametrize(("grade", "option"), [(Grade.C, "--sandbox C"), (Grade.D, "--i-accept-unsandboxed")])
def test_a_sandbox_that_is_too_weak_is_missing(
    archer: Run, monkeypatch: pytest.MonkeyPatch, grade: Grade, option: str
) -> None:
    monkeypatch.setattr(host, "GRADES", (grade,))
    code, out, _ = archer("doctor", "--json")
    sandbox = signs(out)["sandbox"]
    assert (code, sandbox.state, sandbox.found) == (NO, "missing", f"grade {grade}")
    assert option in sandbox.advice
    assert leaks(out)
    assert leaks(out) <= ONLY_BY_LANDLOCK if grade is Grade.C else leaks(out) >= WITHOUT_ANY_LAYER


@pytest.mark.slow
def test_no_sandbox_at_all(archer: Run, failing_bwrap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "GRADES", (Grade.A,))
    code, out, _ = archer("doctor")
    assert code == NO
    assert "missing  sandbox   no sandbox of grade A or better" in out
    assert "No permissions to create new namespace" in out
    assert "→ archer runs no variant without one" in out
    assert "canary" not in out


@pytest.mark.slow
def test_all_that_is_missing_is_said_at_once_and_in_plain_words(archive: Archive, without_git: Path) -> None:
    """In a process of its own: what imports git's library may fail where git is missing, and must not."""
    done = run_without_git(["doctor", "--archive", str(archive.root)], without_git)
    assert (done.returncode, done.stderr) == (NO, "")
    lines = {line[9:18].strip(): line for line in done.stdout.splitlines() if not line.startswith(" ")}
    assert lines["git"].startswith("missing  git       not found")
    assert lines["model"].startswith("warning  model     no endpoint configured")
    assert lines["archive"].startswith("warning  archive")
    assert "cannot be opened without git" in lines["archive"]
    assert lines["sandbox"].startswith("ok       sandbox   grade A")
    assert "→ install it (Debian: apt install git)" in done.stdout
    assert "→ set OPENAI_API_KEY" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", [["init"], ["list"], ["propose", "--n", "1", "--proposer", "evolve"]])
def test_a_command_that_needs_git_says_so(
    archive: Archive, without_git: Path, command: list[str], tmp_path: Path
) -> None:
    where = [str(tmp_path / "new")] if command == ["init"] else ["--archive", str(archive.root)]
    done = run_without_git([*command, *where], without_git)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr == "archer: git was not found; install it (Debian: apt install git)\n"
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", [["--help"], ["--version"], ["check"]])
def test_what_needs_no_git_works_without_it(
    archive: Archive, without_git: Path, command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(seed_variants()[BASELINE].source, encoding="utf-8")
    rest = [str(tmp_path / "mine.py"), "--archive", str(archive.root)] if command == ["check"] else []
    done = run_without_git([*command, *rest], without_git)
    told = f"nothing is compared with the variants of {archive.root}\n" if command == ["check"] else ""
    assert done.stderr.endswith(told)
    assert len(done.stderr.splitlines()) == bool(told)
    assert done.returncode == DONE


def test_a_folder_with_files_in_it_is_not_advised_to_init(tmp_path: Path) -> None:
    """`archer init` refuses a folder that is not empty."""
    assert f"archer init {tmp_path}" in _archive(tmp_path).found
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "archer init" not in _archive(tmp_path).found
    assert "is no archive" in _archive(tmp_path).found


def run_without_git(arguments: list[str], path: Path) -> subprocess.CompletedProcess[str]:
    """archer with that PATH and no endpoint."""
    hidden = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ARCHER_ARCHIVE")
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"PATH": str(path)}
    command = [sys.executable, "-m", "agent.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_git_is_told_with_its_version_or_how_to_get_it(
    without_git: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _git().state == "ok"
    assert _git().found.startswith("git version ")
    monkeypatch.setenv("PATH", str(without_git))
    assert (_git().state, _git().found) == ("missing", "not found")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    assert "thesis is no archive" in _archive(tmp_path / "thesis").found


def test_an_archive_is_counted_and_none_yet_is_no_fault(archive: Archive, tmp_path: Path) -> None:
    archive.tell(make_record(), "r")
    archive.tell(make_record(Status.REJECTED, name="other"), "r")
    assert _archive(archive.root) == Sign("archive", "ok", f"{archive.root}: 2 proposals")
    absent = _archive(tmp_path / "absent")
    assert (absent.state, "`archer propose` makes it" in absent.found) == ("ok", True)


def no_marker(root: Path) -> None:
    (root / "archive.json").unlink()


def broken_marker(root: Path) -> None:
    (root / "archive.json").write_text("{ no JSON")


def later_format(root: Path) -> None:
    (root / "archive.json").write_text('{"format": 99}')


def no_repository(root: Path) -> None:
    shutil.rmtree(root / ".git")


def broken_record(root: Path) -> None:
    (path,) = root.glob("proposals/0001-*/proposal.json")
    path.write_text("{ no JSON")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (no_marker, "is no archive"),
        (broken_marker, "archive.json cannot be read as JSON"),
        (later_format, "format 99"),
        (no_repository, "no git repository"),
        (broken_record, "2 proposals, of which 1 cannot be read: "),
    ],
)
def test_damage_to_an_archive_is_told(archive: Archive, harm: Callable[[Path], None], says: str) -> None:
    archive.tell(make_record(), "r")
    archive.tell(make_record(name="other"), "r")
    harm(archive.root)
    sign = _archive(archive.root)
    assert sign.state == "missing"
    assert says in sign.found
