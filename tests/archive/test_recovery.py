"""What an archer leaves that is killed at its worst moment: between what it wrote and git's commit of it.

`python -m benchmarks.death` kills at every moment, and `tests/test_death.py` at some.
"""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from archive import seeding
from archive.confirmations import Confirmation, Difference
from archive.errors import ArchiveError
from archive.git import GitFolder
from archive.git_at_work import GitAtWork
from archive.records.record import Exchange, Origin
from archive.seeding import make_if_none
from archive.store import Archive
from archive.verify import problems
from evaluator.outcomes import Status
from evaluator.protocols.built_in import QUICK
from tests.builders import NAME, make_archive_of, make_predictions, make_record, make_trials, make_variant
from tests.git_command import git
from variants.contract import BASELINE

CONFIRMATION = Confirmation(
    variant=BASELINE,
    against=BASELINE,
    protocol=QUICK.name,
    protocol_hash=QUICK.hash,
    outcome="refuted",
    first=Difference(mean=0.1, low=0.0, high=0.2, n=3),
    created="2026-01-01T00:00:00Z",
)
FRESH = tuple(trial.model_copy(update={"seed": 7}) for trial in make_trials(make_variant(BASELINE), [0.1]))
EXCHANGE = Exchange(attempt=1, prompt="p", reply="r")
TOLD: dict[str, Callable[[Archive], object]] = {
    "trials": lambda archive: archive.tell_trials(FRESH),
    "confirmation": lambda archive: archive.tell_confirmation(CONFIRMATION, FRESH),
    "failed ask": lambda archive: archive.tell_failed_ask("2026-01-01T00:00:00Z", "no", [EXCHANGE]),
    "leaderboard": lambda archive: archive.tell_leaderboard("others", ",Memorize\nx,0.5\n"),
    "files": lambda archive: archive.tell_files({"variants/other.py": "x = 1\n"}, "Merge"),
    "how it ended": lambda archive: archive.retell(make_record(number=1, reason="ended"), "r"),
}  # fmt: skip


class Killed(BaseException):
    """Nobody catches it, and the archive that is looked at is a copy from just before."""


def killed_before_commit(
    act: Callable[[], object], root: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> Archive | None:
    """The archive as it was at the first commit of an act, opened by another archer; None where there is none yet."""

    def commit(*_: object) -> str:
        shutil.copytree(root, copy)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(GitFolder, "commit", commit)
        with pytest.raises(Killed):
            act()
    return Archive(copy) if not (copy / ".archer-making").exists() else None


@pytest.mark.parametrize("what", TOLD)
def test_what_was_written_and_not_committed_is_taken_back(
    archive: Archive, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive.tell(make_record(Status.INTERRUPTED), "r")
    before = git(archive.root, "rev-parse", "HEAD")
    again = killed_before_commit(lambda: TOLD[what](archive), archive.root, tmp_path / "copy", monkeypatch)
    assert again is not None
    assert list(problems(again)) == []
    assert git(again.root, "rev-parse", "HEAD") == before
    TOLD[what](again)
    assert [problem for problem in problems(again) if "no code" not in problem and "other code" not in problem] == []
    assert git(again.root, "rev-list", "--count", "HEAD") == "3\n"
    assert not list((again.root / ".git").glob("archer-writing*"))


def test_a_whole_proposal_is_kept(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    again = killed_before_commit(lambda: archive.tell(make_record(), "r"), archive.root, tmp_path / "copy", monkeypatch)
    assert again is not None
    assert again.ids() == [f"0001-{NAME}"]
    assert list(problems(again)) == []


def test_a_half_proposal_leaves_neither_code_nor_draft(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def rename(draft: Path, _: Path) -> None:
        shutil.copytree(archive.root, tmp_path / "copy")
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", rename)
        with pytest.raises(Killed):
            archive.tell(make_record(), "r")
    again = Archive(tmp_path / "copy")
    assert list(problems(again)) == []
    assert again.variant_names() == [BASELINE]
    assert again.free_name(NAME) == NAME


def test_drafts_of_single_files_go(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def write_and_die(_: Archive) -> None:
        (archive.root / "leaderboards" / ".tmp-a1b2c3d4").touch()
        (archive.root / "proposals" / ".tmp-0001-x").mkdir(parents=True)
        (archive.root / ".git" / ".tmp-a1b2c3d4").touch()
        archive.tell_trials(FRESH)

    again = killed_before_commit(lambda: write_and_die(archive), archive.root, tmp_path / "copy", monkeypatch)
    assert again is not None
    assert list(again.root.rglob(".tmp-*")) == []


def test_a_merge_that_was_killed_leaves_the_leaderboards_right(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with archive.writing():
        archive.adopt(make_record(), "r", Origin(id="0007-x", commit="0" * 40))
        shutil.copytree(archive.root, tmp_path / "copy")
        archive.rebuild_leaderboards()
    assert list(problems(Archive(tmp_path / "copy"))) == []


def test_leaderboards_that_a_full_disk_kept_from_being_derived_are_derived_by_the_next_archer(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    right = (archive.root / "leaderboards/quick.csv").read_text()
    (archive.root / "leaderboards/quick.csv").write_text("name,Compress\n")
    git(archive.root, "commit", "--all", "--message", "As in the midst of a merge")
    with monkeypatch.context() as patched:
        patched.setattr("archive.unfinished.write_text", full)
        with pytest.raises(OSError, match="No space left"):
            archive.rebuild_leaderboards()
    assert list(problems(Archive(archive.root))) == []
    assert (archive.root / "leaderboards/quick.csv").read_text() == right
    assert not (archive.root / ".git/archer-writing.json").exists()


def test_while_another_writes_an_archive_is_read_as_it_is(archive: Archive):
    with archive.writing():
        (archive.root / "variants" / ".tmp-a1b2c3d4").touch()
        other = Thread(target=lambda: Archive(archive.root).ids())
        other.start()
        other.join()
        assert (archive.root / "variants" / ".tmp-a1b2c3d4").exists()


@pytest.mark.parametrize("name", ["index", "HEAD", "refs/heads/main", "objects/maintenance"])
def test_a_lock_of_a_killed_git_is_removed(archive: Archive, name: str):
    lock = archive.root / ".git" / f"{name}.lock"
    lock.touch()
    os.utime(lock, (1e9, 1e9))
    archive.tell(make_record(), "r")
    assert not lock.exists()
    assert list(problems(archive)) == []


def test_a_lock_of_a_git_that_works_stays(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    lock = archive.root / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (1e9, 1e9))
    monkeypatch.setattr("archive.git_at_work.PATIENCE", 0.1)
    monkeypatch.setattr(GitAtWork, "works_here", lambda _: True)
    with pytest.raises(ArchiveError, match=r"index\.lock"):
        archive.tell(make_record(), "r")
    assert lock.exists()


def test_an_archive_that_was_killed_as_it_was_made_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root, copy = tmp_path / "search", tmp_path / "copy"
    make = lambda where: make_archive_of(where, [make_variant(BASELINE)])  # noqa: E731
    assert killed_before_commit(lambda: make(root), root, copy, monkeypatch) is None
    assert not root.exists()
    with pytest.raises(ArchiveError, match=f"archer init {copy}"):
        Archive(copy)
    (copy / ".tmp-a1b2c3d4").touch()
    monkeypatch.setattr(seeding, "make_archive", make)
    assert list(problems(make_if_none(copy))) == []
    assert sorted(path.name for path in copy.iterdir()) == sorted(path.name for path in make(root).root.iterdir())


def test_nothing_of_others_is_removed_from_a_half_made_archive(tmp_path: Path):
    (tmp_path / ".archer-making").touch()
    (tmp_path / "thesis.tex").write_text("chapter")
    with pytest.raises(ArchiveError, match=r"it holds thesis\.tex"):
        make_archive_of(tmp_path, [make_variant()])
    assert (tmp_path / "thesis.tex").read_text() == "chapter"


def test_an_archive_that_another_archer_makes_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []

    def write(*_: object) -> list[str]:
        with pytest.raises(ArchiveError, match="another archer is making"):
            make_archive_of(tmp_path / "search", [make_variant()])
        seen.append(1)
        raise Killed

    monkeypatch.setattr(seeding, "_write", write)
    with pytest.raises(Killed):
        make_archive_of(tmp_path / "search", [make_variant()])
    assert seen == [1]


def test_an_unchanged_leaderboard_is_no_commit_even_where_something_else_changed(archive: Archive):
    archive.tell_leaderboard("others", ",Memorize\nx,0.5\n")
    (archive.root / "notes.txt").write_text("of the user's")
    archive.tell_leaderboard("others", ",Memorize\nx,0.5\n")


def test_the_same_predictions_keep_their_first_commit(archive: Archive):
    proposal = make_record().proposal
    first = archive.tell_predictions(proposal, QUICK.name, QUICK.hash)
    assert archive.tell_predictions(proposal, QUICK.name, QUICK.hash) == first
    other = proposal.model_copy(update={"predictions": make_predictions(0.55)})
    assert archive.tell_predictions(other, QUICK.name, QUICK.hash) != first


def test_two_searches_give_no_name_twice(archive: Archive):
    other = Archive(archive.root)
    assert archive.claim_name("new") == "new"
    assert other.claim_name("new") == "new_2"
    assert archive.free_name("new") == "new_3", "to a merge, or to `evaluate --add`, neither"
    archive.release_name("new")
    assert other.claim_name("new") == "new"
    for name in ("new", "new_2"):
        other.release_name(name)


def test_what_two_archers_trained_at_once_is_there_once(archive: Archive):
    there = archive.further_trials(QUICK.name)[BASELINE]
    for each in (archive, Archive(archive.root)):
        each.tell_trials(FRESH)
    assert archive.further_trials(QUICK.name)[BASELINE] == (*there, *FRESH)
    assert git(archive.root, "rev-list", "--count", "HEAD") == "2\n"


def test_what_another_archer_decided_stays(archive: Archive):
    unfinished = CONFIRMATION.model_copy(update={"outcome": "unfinished"})
    archive.tell_confirmation(unfinished, FRESH[:2])
    archive.tell_confirmation(CONFIRMATION, FRESH)
    assert archive.fresh_trials(QUICK.name) == {BASELINE: FRESH}
    Archive(archive.root).tell_confirmation(unfinished, FRESH)
    assert archive.confirmations(QUICK.name) == {BASELINE: CONFIRMATION}


def test_an_interrupted_proposal_is_taken_up_by_one_archer(archive: Archive):
    other = Archive(archive.root)
    assert archive.take_up(f"0001-{NAME}")
    assert not other.take_up(f"0001-{NAME}")
    archive.release_name(f"0001-{NAME}")
    assert other.take_up(f"0001-{NAME}")
    other.release_name(f"0001-{NAME}")


def test_a_claim_of_a_killed_search_does_not_count(archive: Archive):
    left = archive.root / ".git" / "archer-names" / "new"
    left.parent.mkdir()
    left.touch()
    assert archive.claim_name("new") == "new"
    archive.recover()
    assert left.exists(), "it is held"
    archive.release_name("new")
    left.touch()
    archive.recover()
    assert not left.exists()
