"""`archer merge`: what it says and what it leaves, with two real archives."""

import json
import shutil
from pathlib import Path

import pytest

from agent.errors import DONE, USAGE
from archive.store import Archive
from evaluator.outcomes import Status
from tests.agent.commands.conftest import Run
from tests.builders import SOURCE, make_provenance, make_record
from tests.git_command import git


@pytest.fixture
def two(archive: Archive, tmp_path: Path) -> tuple[Path, Path]:
    """Two archives that began as one: `mine` is in the first, and in the second `mine` with other code and `theirs`."""
    shutil.copytree(archive.root, tmp_path / "other")
    other = Archive(tmp_path / "other")
    archive.tell(make_record(name="mine"), "r")
    other.tell(make_record(name="mine", source=f"{SOURCE}# there\n"), "r")
    other.tell(make_record(Status.REJECTED, name="theirs", reason="causality"), "r")
    return archive.root, other.root


def test_what_came_along_is_said_and_a_second_merge_adds_nothing(archer: Run, two: tuple[Path, Path]) -> None:
    ours, theirs = two
    code, out, err = archer("merge", theirs, "--archive", ours, "--quiet")
    assert (code, err) == (DONE, "")
    assert out.splitlines() == [
        "0001-mine is 0002-mine_2",
        "0002-theirs is 0003-theirs",
        "its variant mine is called mine_2 here",
        "new: 2 proposals, 0 trials; here already: 0 proposals",
    ]
    listed = json.loads(archer("list", "--archive", ours, "--json")[1])
    assert [(row["id"], row["status"]) for row in listed] == [(1, "SCORED"), (2, "SCORED"), (3, "REJECTED")]
    board = json.loads(archer("leaderboard", "--archive", ours, "--json")[1])
    assert {"mine", "mine_2"} < {row["name"] for row in board["rows"]}
    assert archer("verify", "--archive", ours, "--quiet")[0] == DONE
    head = git(ours, "rev-parse", "HEAD")
    code, out, _ = archer("merge", theirs, "--archive", ours, "--quiet")
    assert code == DONE
    assert out.splitlines() == [
        "its variant mine is called mine_2 here",
        "new: 0 proposals, 0 trials; here already: 2 proposals",
    ]
    assert git(ours, "rev-parse", "HEAD") == head


def test_proposals_that_keep_number_and_name_are_counted_only(archer: Run, archive: Archive, tmp_path: Path) -> None:
    shutil.copytree(archive.root, tmp_path / "other")
    Archive(tmp_path / "other").tell(make_record(name="theirs"), "r")
    out = archer("merge", tmp_path / "other", "--archive", archive.root, "--quiet")[1]
    assert out.splitlines() == ["new: 1 proposal, 0 trials; here already: 0 proposals"]


def test_the_same_as_json(archer: Run, two: tuple[Path, Path]) -> None:
    ours, theirs = two
    code, out, err = archer("merge", theirs, "--archive", ours, "--json", "--quiet")
    document = json.loads(out)
    assert (code, err) == (DONE, "")
    assert (document["archive"], document["other"]) == (str(ours), str(theirs))
    assert document["added"] == [
        {"id": "0002-mine_2", "from": "0001-mine"},
        {"id": "0003-theirs", "from": "0002-theirs"},
    ]
    assert (document["renamed"], document["known"], document["conflicts"]) == ({"mine": "mine_2"}, 0, 0)
    again = json.loads(archer("merge", theirs, "--archive", ours, "--json", "--quiet")[1])
    assert (again["added"], again["known"], again["trials"]) == ([], 2, 0)


def test_a_genome_that_no_catalogue_has_is_refused_whole(archer: Run, two: tuple[Path, Path]) -> None:
    ours, theirs = two
    unknown = make_provenance(mechanisms={"decay": {"mechanism": "magic"}})
    Archive(theirs).tell(make_record(name="unknown", provenance=unknown), "r")
    head = git(ours, "rev-parse", "HEAD")
    code, out, err = archer("merge", theirs, "--archive", ours, "--quiet")
    assert (code, out) == (USAGE, "")
    assert "0003-unknown" in err
    assert len(err.splitlines()) == 1
    assert git(ours, "rev-parse", "HEAD") == head


@pytest.mark.parametrize(("ours", "theirs"), [("nowhere", "other"), ("search", "nowhere")])
def test_what_is_no_archive_is_one_line(archer: Run, two: tuple[Path, Path], ours: str, theirs: str) -> None:
    folder = two[0].parent
    code, out, err = archer("merge", folder / theirs, "--archive", folder / ours, "--quiet")
    assert (code, out) == (USAGE, "")
    assert str(folder / "nowhere") in err
    assert len(err.splitlines()) == 1
