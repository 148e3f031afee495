"""What came since a whole verification is all that `archer verify --new` reads, and it finds what is wrong there."""

import pytest

from agent.cli import run
from agent.errors import DONE
from archive.examine import Examiner
from archive.store import Archive
from archive.verified import Verified, note_verified, state_of
from archive.verify import problems
from evaluator.outcomes import Status
from tests.builders import make_record
from tests.git_command import commit_all, git

OTHER = "delta_net_4layer_y_in_for_loop"


@pytest.fixture
def verified(archive: Archive) -> Archive:
    archive.tell(make_record(), "r")
    assert list(problems(archive)) == []
    note_verified(archive, state_of(archive))
    return archive


def since(archive: Archive) -> Verified:
    found = Verified.of(archive)
    assert found is not None
    return found


def test_an_archive_that_nobody_verified_has_no_state(archive: Archive):
    assert Verified.of(archive) is None


def test_only_what_came_since_is_read(verified: Archive, monkeypatch: pytest.MonkeyPatch):
    told = verified.tell(make_record(name=OTHER), "r")
    read: list[str] = []
    examine = Examiner.examine
    monkeypatch.setattr(Examiner, "examine", lambda self, name: read.append(name) or examine(self, name))
    assert list(problems(verified, since(verified))) == []
    assert read == [told.id]


def test_what_is_told_while_it_is_verified_is_read_the_next_time(verified: Archive, monkeypatch: pytest.MonkeyPatch):
    def told_meanwhile(archive: Archive, since: Verified | None) -> list[str]:
        found = list(problems(archive, since))
        Archive(archive.root).tell(make_record(name=OTHER), "r")
        return found

    monkeypatch.setattr("agent.commands.verify.problems", told_meanwhile)
    assert run(["verify", "--archive", str(verified.root)]) == DONE
    assert since(verified).changed_proposals() == [verified.ids()[-1]]


@pytest.mark.parametrize("path", ["proposals/{}/scorecard.json", "variants/delta_net_4layer_x_in_for_loop.py"])
@pytest.mark.parametrize("committed", [False, True])
def test_damage_of_what_was_verified_is_found(verified: Archive, path: str, committed: bool):
    file = verified.root / path.format(verified.ids()[0])
    file.write_text(f"{file.read_text()}#")
    if committed:
        commit_all(verified.root)
    found = "\n".join(problems(Archive(verified.root), since(verified)))
    assert "0001-" in found
    assert ("differs from the last commit" in found) is not committed


def test_a_damaged_new_object_is_found(verified: Archive):
    told = verified.tell(make_record(name=OTHER), "another report")
    blob = git(verified.root, "rev-parse", f"HEAD:proposals/{told.id}/report.md").strip()
    other = git(verified.root, "rev-parse", "HEAD:archive.json").strip()
    objects = verified.root / ".git" / "objects"
    damaged = objects / blob[:2] / blob[2:]
    damaged.chmod(0o644)
    damaged.write_bytes((objects / other[:2] / other[2:]).read_bytes())
    assert any(blob in problem for problem in problems(Archive(verified.root), since(verified)))


def test_a_link_among_what_came_since_is_found(verified: Archive):
    (verified.root / "proposals" / verified.ids()[0] / "note").symlink_to("/etc/passwd")
    commit_all(verified.root)
    assert "is a link" in "\n".join(problems(Archive(verified.root), since(verified)))


def test_after_the_history_was_rewritten_everything_is_read(verified: Archive):
    git(verified.root, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--amend", "-m", "another")
    assert Verified.of(verified) is None


def test_many_are_examined_in_several_processes(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("archive.examine.MANY", 1)
    for place in range(3):
        archive.tell(make_record(Status.REJECTED, name=f"x{place}"), "r")
    path = archive.root / "proposals" / archive.ids()[1] / "scorecard.json"
    path.write_text("{}")
    found = list(problems(archive))
    assert [line for line in found if "scorecard" in line and archive.ids()[1] in line]
