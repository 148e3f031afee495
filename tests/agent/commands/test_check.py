"""`archer check` as people call it: the verdict last, short diffs, and the list of what is allowed."""

import json
from pathlib import Path

import pytest

from agent.cli import run
from agent.errors import DONE, NO, USAGE
from evaluator.outcomes import CheckReport
from variants.contract import BASELINE
from variants.seeds import seed_variants

SOURCE = seed_variants()[BASELINE].source
OTHER_NAMES = SOURCE.replace("Dk", "width").replace("q_n", "queries").replace("u_n", "values")
"""Everything outside the loop reads otherwise, and computes the same."""


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run(["check", *map(str, arguments)])
    out, err = capfd.readouterr()
    return code, out, err


def write(folder: Path, source: str) -> Path:
    path = folder / "x_in_for_loop.py"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHER_ARCHIVE", raising=False)


def test_the_list_of_what_is_allowed_needs_no_file(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capfd, "--allowed")
    assert code == DONE
    assert "functools: partial, reduce, wraps" in out
    code, out, _ = call(capfd, "--allowed", "--json")
    assert code == DONE
    assert "matmul" in json.loads(out)["imports"]["torch"]


def test_without_a_file_it_says_what_is_missing(capfd: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capfd)
    assert code == USAGE
    assert "archer check FILE" in err


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_a_refusal_names_the_list_and_comes_first(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = call(capfd, write(tmp_path, f"import os\n{SOURCE}"), "--quiet")
    assert code == NO
    first, *_, last = out.splitlines()
    assert first.startswith("fail fence")
    assert first.endswith("`archer check --allowed` lists what a kernel may use")
    assert last.startswith("fail  x_in_for_loop: fence: line 1: import of os")


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_a_diff_is_short_and_whole_behind_verbose_and_in_json(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, OTHER_NAMES)
    code, document, _ = call(capfd, path, "--quiet", "--json")
    assert code == DONE
    (scope,) = [finding for finding in json.loads(document)["findings"] if finding["check"] == "scope"]
    diff = scope["evidence"]["diff"].splitlines()
    report = CheckReport.model_validate_json(document)
    monkeypatch.setattr("agent.commands.check.check_variant", lambda *_, **__: report)  # each takes seconds
    short, whole = call(capfd, path, "--quiet")[1], call(capfd, path, "--quiet", "--verbose")[1]
    assert scope["status"] == "warn"
    assert all(line in whole for line in diff)
    assert f"--- {BASELINE}" in short
    assert diff[-1] not in short
    assert "more lines: archer check --verbose" in short
    assert len(short.splitlines()) == len(whole.splitlines()) - len(diff) + 11
    assert short.splitlines()[0].startswith("warn scope")
    assert short.splitlines()[-1].startswith("pass  x_in_for_loop: no check failed; warnings of scope")
