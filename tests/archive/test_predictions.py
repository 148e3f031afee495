"""Predictions stand on a branch of their own before the first trial, and verify proves it."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive.records.record import Record
from archive.store import Archive
from archive.verify import problems
from tests.builders import make_predictions, make_proposal, make_record, make_trials, make_variant
from tests.git_command import git


def told(archive: Archive, record: Record) -> Record:
    """Predict, then archive as if the trials had taken no time."""
    commit = archive.tell_predictions(record.proposal, record.protocol, record.protocol_hash)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return archive.tell(record.model_copy(update={"predicted": commit, "created": created}), "report")


def test_predictions_are_committed_aside_and_the_work_tree_is_not_touched(archive: Archive):
    before = git(archive.root, "rev-parse", "HEAD")
    commit = archive.tell_predictions(make_record().proposal, "quick", "h")
    assert git(archive.root, "rev-parse", "HEAD") == before
    assert archive.dirty_paths() == []
    assert git(archive.root, "rev-parse", "predictions").strip() == commit
    assert '"mean": 0.5' in git(archive.root, "show", "predictions:delta_net_4layer_x_in_for_loop.json")


def test_each_is_a_small_commit_upon_the_last_and_the_record_names_its_own(archive: Archive):
    one, two = told(archive, make_record()), told(archive, make_record(name="delta_net_4layer_y_in_for_loop"))
    assert git(archive.root, "rev-list", "predictions").split() == [two.predicted, one.predicted]
    files = git(archive.root, "ls-tree", "--name-only", "predictions").split()
    assert files == ["delta_net_4layer_x_in_for_loop.json", "delta_net_4layer_y_in_for_loop.json"]
    assert f"Predicted: {two.predicted}" in git(archive.root, "log", "-1", "--format=%B", "main")
    assert Archive(archive.root).record("2").predicted == two.predicted
    assert list(problems(archive)) == []


def test_a_proposal_without_predictions_commits_none(archive: Archive):
    assert archive.tell_predictions(make_proposal(predictions={}), "quick", "h") is None
    assert git(archive.root, "branch", "--list", "predictions") == ""


def test_records_of_before_are_valid(archive: Archive):
    archive.tell(make_record(), "report")
    assert list(problems(archive)) == []


def test_a_clone_is_verified_by_its_remote_branch_and_goes_on_from_it(archive: Archive, tmp_path: Path):
    first = told(archive, make_record())
    subprocess.run(["git", "clone", "--quiet", str(archive.root), str(tmp_path / "clone")], check=True)
    clone = Archive(tmp_path / "clone")
    assert list(problems(clone)) == []
    second = told(clone, make_record(name="delta_net_4layer_y_in_for_loop"))
    assert git(clone.root, "rev-list", "predictions").split() == [second.predicted, first.predicted]
    assert list(problems(clone)) == []


@pytest.mark.parametrize("tampered", ["changed", "absent", "late"])
def test_what_contradicts_the_commit_is_found(archive: Archive, tampered: str):
    record = make_record()
    commit = archive.tell_predictions(record.proposal, record.protocol, record.protocol_hash)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    predictions = make_predictions(0.6) if tampered == "changed" else record.proposal.predictions
    created = "2026-01-01T00:00:00+00:00" if tampered == "late" else now
    named = "0" * 40 if tampered == "absent" else commit
    archive.tell(make_record(predictions=predictions, predicted=named, created=created), "report")
    says = {
        "changed": "are not those of commit",
        "absent": "is not on the branch",
        "late": "later than its first trial",
    }
    (problem,) = problems(archive)
    assert says[tampered] in problem


def test_trials_that_began_before_the_commit_are_found(archive: Archive):
    told(archive, make_record(trials=make_trials(make_variant(), wall_seconds=3600.0)))
    (problem,) = problems(archive)
    assert "later than its first trial" in problem
