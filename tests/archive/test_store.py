"""An archive keeps what it is told, whole or not at all, one commit a proposal."""

import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive.errors import ArchiveError
from archive.records.record import BY_HAND, Exchange
from archive.seeding import create
from archive.store import PATIENCE, Archive
from archive.verify import problems
from evaluator.outcomes import Status
from tests.builders import make_proposal, make_provenance, make_record
from tests.git_command import git
from tests.waiting import PATIENCE as ENOUGH


def test_what_is_told_is_read_back_by_another_process_view(archive: Archive):
    told = archive.tell(make_record(), "# report\n")
    assert Archive(archive.root).record("1") == told
    assert (archive.root / "proposals" / told.id / "report.md").read_text() == "# report\n"


def test_one_commit_a_proposal_with_trailers_and_nothing_left_over(archive: Archive):
    archive.tell(make_record(), "r")
    archive.tell(make_record(Status.REJECTED, name="other"), "r")
    assert git(archive.root, "rev-list", "--count", "HEAD").strip() == "3"
    trailers = git(archive.root, "log", "-1", "--format=%(trailers:only,unfold)").splitlines()
    assert [line.split(":")[0] for line in trailers if line] == ["Parent", "Status", "Protocol", "Proposer"]
    assert "Status: REJECTED" in trailers
    assert git(archive.root, "status", "--porcelain") == ""


def test_gits_index_of_a_new_archive_is_of_the_small_kind(archive: Archive):
    assert (archive.root / ".git" / "index").read_bytes()[:8] == b"DIRC\0\0\0\4"


@pytest.mark.parametrize("named", ["GIT_COMMITTER_EMAIL", "GIT_AUTHOR_EMAIL"])
def test_who_has_half_a_name_for_git_can_archive(archive: Archive, monkeypatch: pytest.MonkeyPatch, named: str):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv(named, "somebody@here")
    archive.tell(make_record(), "r")
    who = git(archive.root, "log", "-1", "--format=%ae %ce").split()
    assert who == ["somebody@here" if part in named else "archer@localhost" for part in ("AUTHOR", "COMMITTER")]


def test_scored_proposal_enters_the_leaderboard_and_rejected_does_not(archive: Archive):
    archive.tell(make_record(), "r")
    archive.tell(make_record(Status.REJECTED, name="other"), "r")
    rows = (archive.root / "leaderboards" / "quick.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["", "delta_net_4layer", "delta_net_4layer_x_in_for_loop"]


def test_failed_commit_leaves_no_trace(archive: Archive):
    shutil.move(archive.root / ".git" / "objects", archive.root / ".git" / "gone")
    (archive.root / ".git" / "objects").write_text("no folder")
    with pytest.raises(ArchiveError, match="git"):
        archive.tell(make_record(), "r")
    assert archive.ids() == []
    assert not (archive.root / "variants" / "delta_net_4layer_x_in_for_loop.py").exists()


def test_killed_between_rename_and_commit_is_finished_by_recover(archive: Archive):
    archive.tell(make_record(), "r")
    git(archive.root, "reset", "--soft", "HEAD~1")
    git(archive.root, "reset", "--quiet")
    (archive.root / "proposals" / ".tmp-0002-half").mkdir()
    assert Archive(archive.root).recover() == ["0001-delta_net_4layer_x_in_for_loop"]
    assert git(archive.root, "status", "--porcelain") == ""
    assert not list((archive.root / "proposals").glob(".tmp-*"))


def test_second_archive_in_the_same_folder_is_refused_and_the_folder_untouched(archive: Archive):
    before = git(archive.root, "rev-parse", "HEAD")
    with pytest.raises(ArchiveError, match="not empty"):
        create(archive.root, {}, (), {})
    assert git(archive.root, "rev-parse", "HEAD") == before


def test_folder_that_is_no_archive_is_named(tmp_path: Path):
    with pytest.raises(ArchiveError, match="is no archive"):
        Archive(tmp_path)


def test_commits_go_to_the_archive_even_inside_a_git_hook(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    subprocess.run(["git", "init", "-q", str(tmp_path / "callers")], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "callers" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "callers" / "index"))
    Archive(archive.root).tell(make_record(), "r")
    monkeypatch.delenv("GIT_DIR", raising=False)
    monkeypatch.delenv("GIT_INDEX_FILE", raising=False)
    assert git(archive.root, "log", "-1", "--format=%s").startswith("0001-")


def test_name_already_taken_is_numbered_before_its_suffix(archive: Archive):
    archive.tell(make_record(), "r")
    assert archive.free_name("delta_net_4layer_x_in_for_loop") == "delta_net_4layer_x_2_in_for_loop"
    assert archive.free_name("new", ["new"]) == "new_2"


def test_ask_without_proposal_keeps_its_exchange(archive: Archive):
    archive.tell_failed_ask("2026-01-01T00:00:00Z", "no JSON", [Exchange(attempt=1, prompt="p", reply="r")])
    assert "no JSON" in git(archive.root, "log", "-1", "--format=%s")
    assert git(archive.root, "status", "--porcelain") == ""


def test_clone_is_a_whole_archive(archive: Archive, tmp_path: Path):
    told = archive.tell(make_record(), "r")
    subprocess.run(["git", "clone", "-q", str(archive.root), str(tmp_path / "clone")], check=True)
    clone = Archive(tmp_path / "clone")
    assert clone.record(told.id) == told
    assert list(problems(clone)) == []


def test_a_record_names_the_commit_that_told_it_or_the_newest_that_has_it(archive: Archive):
    one, two = archive.tell(make_record(), "r"), archive.tell(make_record(Status.REJECTED, name="other"), "r")
    told = git(archive.root, "rev-list", "-2", "HEAD").split()
    assert archive.commits() == {one.id: told[1], two.id: told[0]}
    git(
        archive.root,
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@x",
        "commit",
        "-q",
        "--amend",
        "-m",
        f"by hand\n\n{two.id}: x",
    )
    (amended,) = git(archive.root, "rev-list", "-1", "HEAD").split()
    assert archive.commits() == {one.id: told[1], two.id: amended}
    assert archive.commit_of(two) == amended


def test_code_is_read_when_it_is_looked_at(archive: Archive):
    told = archive.tell(make_record(), "r")
    (archive.root / "variants" / "bad name.py").write_text("")
    variants = archive.variants()
    assert variants[told.proposal.variant.name] == told.proposal.variant
    assert "bad name" in variants
    with pytest.raises(ArchiveError, match="rename or remove"):
        variants["bad name"]
    with pytest.raises(ArchiveError, match="rename or remove"):
        archive.variant("bad name")
    assert variants.get("another") is None


def test_who_tells_waits_for_a_long_merge_and_says_so(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    held, over = threading.Event(), threading.Event()

    def merge() -> None:
        with Archive(archive.root).writing():
            held.set()
            over.wait()

    def ending(_: object) -> bool:
        """Ends the merge once it is said that it is waited for."""
        over.set()
        return True

    merging = threading.Thread(target=merge, daemon=True)
    merging.start()
    assert held.wait(ENOUGH)
    with monkeypatch.context() as patched:
        patched.setattr("archive.store.SILENCE", 0.1)
        patched.setattr("archive.store.PATIENCE", 0.1)
        with pytest.raises(ArchiveError, match="another archer is writing"):
            Archive(archive.root).tell(make_record(), "r")
    assert PATIENCE > 10 * 60
    caplog.clear()
    caplog.handler.addFilter(ending)
    monkeypatch.setattr("archive.store.SILENCE", 0.1)
    assert archive.tell(make_record(), "r").number == 1
    assert caplog.messages == [f"another writer has the archive {archive.root}: waiting for it to end"]
    caplog.handler.removeFilter(ending)
    merging.join()


def test_a_commit_holds_its_paths_alone_though_others_are_staged(archive: Archive):
    (archive.root / "mine.txt").write_text("a user's\n")
    git(archive.root, "add", "mine.txt")
    archive.tell(make_record(), "r")
    assert "mine.txt" not in git(archive.root, "show", "--name-only", "--format=", "HEAD").split()
    assert git(archive.root, "status", "--porcelain").split() == ["A", "mine.txt"]
    git(archive.root, "rm", "--quiet", "--cached", "mine.txt")
    archive.tell(make_record(name="other"), "r")
    assert git(archive.root, "status", "--porcelain").split() == ["??", "mine.txt"]
    assert git(archive.root, "reflog", "-1", "--format=%gs").startswith("commit: 0002-other: ")
    git(archive.root, "fsck", "--full", "--strict")


def test_a_commit_of_nothing_new_is_refused(archive: Archive):
    told = archive.tell(make_record(), "r")
    head = archive._git.head()
    with pytest.raises(ArchiveError, match="nothing to commit"):
        archive._git.commit("again", [f"proposals/{told.id}"])
    assert archive._git.head() == head


@pytest.mark.parametrize("with_graph", [False, True])
def test_the_commit_of_a_record_is_found_by_its_subject_and_date(archive: Archive, with_graph: bool):
    now = datetime.now(UTC)
    told = archive.tell(make_record(created=now.isoformat()), "r")
    late = archive.tell(make_record(name="late", created=(now - timedelta(days=9)).isoformat()), "r")
    commits = git(archive.root, "log", "-2", "--format=%H").split()
    if with_graph:
        git(archive.root, "commit-graph", "write", "--reachable", "--split")
    assert archive._git.commit_about(f"{told.id}: SCORED", now) == commits[1]
    assert archive._git.commit_about(f"{told.id}: REJECTED", now) is None
    assert archive._git.commit_about(f"{late.id}: SCORED", now - timedelta(days=9)) is None
    assert [archive.commit_of(told), archive.commit_of(late)] == [commits[1], commits[0]]


def test_a_proposal_by_hand_names_the_commit_that_told_it_last(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    made = datetime.now(UTC) - timedelta(days=9)
    by_hand = make_proposal(provenance=make_provenance(proposer=BY_HAND))
    monkeypatch.setenv("GIT_COMMITTER_DATE", made.isoformat())
    told = archive.tell(make_record(proposal=by_hand, created=made.isoformat()), "r")
    first = archive._git.head()
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    again = told.model_copy(update={"reason": "told anew"})
    archive.retell(again, "r")
    assert archive._git.commit_about(f"{told.id}: SCORED", made) == first
    assert archive.commit_of(again) == archive._git.head() != first


def test_upkeep_makes_a_commit_graph_unless_the_user_wants_none(archive: Archive):
    git(archive.root, "config", "maintenance.commit-graph.auto", "1")
    graphs = archive.root / ".git" / "objects" / "info" / "commit-graphs"
    git(archive.root, "config", "maintenance.auto", "false")
    archive.tell(make_record(), "r")
    assert not graphs.exists()
    git(archive.root, "config", "--unset", "maintenance.auto")
    archive.tell(make_record(name="other"), "r")
    assert list(graphs.glob("*.graph"))
    assert archive.commit_of(archive.record("1")) == git(archive.root, "rev-parse", "HEAD~1").strip()


def test_a_folder_without_a_proposal_stops_no_recovery(archive: Archive):
    archive.tell(make_record(Status.REJECTED), "r")
    git(archive.root, "reset", "--soft", "HEAD~1")
    git(archive.root, "reset", "--quiet")
    (archive.root / "proposals" / "0000-empty").mkdir()
    assert archive.recover() == ["0001-delta_net_4layer_x_in_for_loop"]
