"""The index gives what the records give, notices every change, and names what cannot be read."""

import contextlib
import json
import math
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.errors import ArchiveError
from archive.reader import Reader
from archive.records import changes, index, places
from archive.records.index import ArchiveIndex
from archive.records.kept import Further, Kept, Row
from archive.records.lines import line_of
from archive.records.places import proposal_places
from archive.store import Archive
from archive.verify import problems
from evaluator.outcomes import CurvePoint, Status
from evaluator.protocols.built_in import QUICK
from evaluator.statistics.false_discovery import discoveries
from evaluator.statistics.lazy_trials import LazyTrials
from evaluator.statistics.moderated_t_test import mean_noise
from evaluator.statistics.scorecards import lazy_trials, scorecard, seed_accuracies
from evaluator.statistics.seed_table import seed_table
from evaluator.statistics.verdicts import verdict
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_record, make_trial, make_variant
from tests.git_command import git
from tests.waiting import PATIENCE
from variants.contract import BASELINE

NAMES = ("delta_net_4layer_a_in_for_loop", "delta_net_4layer_b_in_for_loop")


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive is large only where a test says so."""
    monkeypatch.setattr(index, "LARGE", math.inf)


@pytest.fixture
def told(archive: Archive) -> Archive:
    """Two scored proposals, one of which inherits a task, and a rejected one."""
    curve = (CurvePoint(step=1, loss=2.0),)
    for place, name in enumerate(NAMES):
        own, parent = make_variant(name), BASELINE if place else None
        trials = [
            make_trial(own, task, seed, 0.6 + seed / 100 + place * (seed + 1) / 17, curve=curve,
                       inherited_from=parent if task == "Memorize" else None)
            for task in MAD_TASKS
            for seed in range(3)
        ]  # fmt: skip
        archive.tell(make_record(name=name, trials=trials), "r")
    archive.tell(make_record(Status.REJECTED, name="c"), "r")
    return archive


def test_statistics_of_the_index_are_those_of_the_trials(told: Archive):
    known = Archive(told.root).trials("quick")
    own = {record.proposal.variant.name: record.trials for record in told.records() if record.trials}
    assert set(own) == set(NAMES)
    for name, trials in own.items():
        assert isinstance(known[name], LazyTrials)
        assert seed_accuracies(known[name]) == seed_accuracies(trials)
        assert scorecard(known[name]) == scorecard(trials)
        for rival in (BASELINE, *NAMES):
            assert verdict(known[name], known[rival], rival, {}) == verdict(trials, tuple(known[rival]), rival, {})
    everyone = {name: tuple(trials) for name, trials in known.items()}
    noise = mean_noise(known, MAD_TASKS)
    assert noise == mean_noise(everyone, MAD_TASKS)
    pairs = [(name, BASELINE) for name in NAMES]
    fast, slow = (discoveries(seed_table(each, MAD_TASKS), pairs, noise) for each in (known, everyone))
    assert (list(fast.means), list(fast.tasks)) == (list(slow.means), list(slow.tasks))


def test_trials_are_read_whole_when_looked_at(told: Archive):
    found = Archive(told.root).trials("quick")[NAMES[0]]
    assert tuple(found) == told.records()[0].trials
    assert found[0].curve
    assert lazy_trials(found) is found


def test_only_what_changed_is_read_again(told: Archive, monkeypatch: pytest.MonkeyPatch):
    lines = told.lines()
    read: list[str] = []
    before = ArchiveIndex._read
    monkeypatch.setattr(
        ArchiveIndex, "_read", lambda self, identity, stamp: read.append(identity) or before(self, identity, stamp)
    )
    again = Archive(told.root)
    assert again.lines() == lines
    assert read == [], "the kept file has all of it"
    path = told.root / "proposals" / lines[2].id / "scorecard.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"reason": "another"}))
    assert [outline.reason for outline in again.history()][2] == "another"
    assert read == [lines[2].id]
    assert [outline.reason for outline in Archive(told.root).history()][2] == "another"


def test_a_damaged_index_is_made_anew(told: Archive):
    lines = told.lines()
    kept = told.root / ".git" / "archer-index.sqlite"
    assert kept.exists()
    kept.write_bytes(b"no database" * 1000)
    assert Archive(told.root).lines() == lines
    assert Archive(told.root).lines() == lines


def test_what_several_archers_keep_of_one_block_is_all_there(told: Archive, tmp_path: Path):
    told.lines()
    known = Kept(told.root / ".git" / "archer-index.sqlite").load()
    assert [each.line for each in known.values()] == told.lines()
    path = tmp_path / "index.sqlite"
    for identity in reversed(known):
        assert Kept(path).keep({identity: Row(known[identity], Further("{}", None))}, (), None)
    assert list(Kept(path).load().items()) == list(known.items()), "oldest first, whoever came first"
    first, *others = known
    assert Kept(path).keep({}, [first], None)
    assert list(Kept(path).load()) == others


def test_what_is_gone_is_forgotten(told: Archive):
    told.lines()
    folder = told.root / "proposals" / told.ids()[0]
    folder.rename(told.root / "moved")
    assert [line.number for line in Archive(told.root).lines()] == [2, 3]


@pytest.mark.parametrize("name", ["proposal.json", "scorecard.json", "trials.jsonl"])
def test_damage_is_named_and_nothing_else_is_lost(told: Archive, name: str):
    told.lines()
    first = told.ids()[0]
    (told.root / "proposals" / first / name).write_text("{ not json\n")
    damaged = Archive(told.root)
    assert [line.number for line in damaged.lines()] == [2, 3]
    assert NAMES[0] not in damaged.trials("quick")
    assert list(damaged.damage()) == [first]
    assert name in damaged.damage()[first]
    with pytest.raises(ArchiveError, match=name):
        damaged.require_sound()
    with pytest.raises(ArchiveError, match=name):
        damaged.rebuild_leaderboards()


def test_trials_that_are_a_link_are_refused(told: Archive):
    path = told.root / "trials" / "quick" / f"{BASELINE}.jsonl"
    path.unlink()
    for target in ("nothing", path.name, "/etc/passwd"):
        path.symlink_to(target)
        with pytest.raises(ArchiveError, match="is a link"):
            Archive(told.root).trials("quick")
        path.unlink()
    assert BASELINE not in Archive(told.root).trials("quick")


def test_at_one_moment_changes_are_looked_for_once(told: Archive, monkeypatch: pytest.MonkeyPatch):
    looked: list[int] = []
    refresh = ArchiveIndex.refresh
    monkeypatch.setattr(ArchiveIndex, "refresh", lambda self: looked.append(1) or refresh(self))
    with told.at_one_moment():
        assert len(told.lines()) == 3
        told.tell(make_record(name="d"), "r")
        assert len(told.lines()) == 4, "what is told inside is known at once"
        assert "d" in told.trials("quick")
    assert looked == [1]
    told.lines()
    assert looked == [1, 1]
    assert Archive(told.root).lines() == told.lines()


def test_a_thread_that_looked_too_early_drops_nothing_that_is_told_meanwhile(
    told: Archive, monkeypatch: pytest.MonkeyPatch
):
    told.lines()
    looked, added = threading.Event(), threading.Event()

    def look(root: Path) -> dict[str, str]:
        places = proposal_places(root)
        if threading.current_thread() is not threading.main_thread():
            looked.set()
            added.wait(0.5)
        return places

    for module in ("archive.reader", "archive.records.index"):
        monkeypatch.setattr(f"{module}.proposal_places", look, raising=False)
    other = threading.Thread(target=told.lines)
    with told.at_one_moment():
        told.lines()
        other.start()
        assert looked.wait(PATIENCE)
        told.tell(make_record(name="d"), "r")
        added.set()
        other.join()
        assert [line.name for line in told.lines()] == [*NAMES, "c", "d"]
        assert "d" in told.trials("quick")


def test_outlines_are_of_the_files_though_another_process_kept_others(told: Archive):
    told.lines()
    path = told.root / "proposals" / told.ids()[0] / "scorecard.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reason": "another"}))
    Archive(told.root).lines()
    assert told.history()[0].reason == "another"


def test_without_a_kept_file_nothing_is_missing(told: Archive):
    reader = Reader(told.root)
    assert reader.lines() == told.lines()
    assert list(reader.history()) == list(told.history())
    assert reader.trials("quick").keys() == told.trials("quick").keys()


def test_outlines_of_some_are_those_of_all_that_are_wanted(told: Archive):
    every = list(told.history())
    for archive in (told, Archive(told.root)):
        some = archive.history().where(lambda line: line.number % 2 == 0)
        assert list(some) == [outline for outline in every if outline.number % 2 == 0]
    history = Archive(told.root).history()
    assert list(history.where(lambda line: line.number == 3)) == every[2:3]
    assert list(history.where(lambda _: False)) == []
    assert history[-1] == every[-1]
    assert list(history[1:]) == every[1:]
    assert len(history) == len(every)


def test_a_line_says_of_a_proposal_what_its_record_says(told: Archive):
    lines = [line_of(record) for record in told.records()]
    assert lines == Archive(told.root).lines() == [line_of(outline) for outline in told.history()]


def test_a_large_archive_is_looked_at_seldom_but_after_every_commit(told: Archive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(index, "LARGE", 1)
    looked: list[int] = []
    refresh = ArchiveIndex.refresh
    monkeypatch.setattr(ArchiveIndex, "refresh", lambda self: looked.append(1) or refresh(self))
    reader, other = Archive(told.root), Archive(told.root)
    assert [len(reader.lines()), len(reader.lines())] == [3, 3]
    assert looked == [1], "nothing was committed meanwhile"
    reader.tell(make_record(name="d"), "r")
    assert [line.name for line in reader.lines()] == [*NAMES, "c", "d"]
    assert looked == [1], "what is told here is known"
    other.tell(make_record(name="e"), "r")
    looked.clear()
    assert [line.name for line in reader.lines()] == [*NAMES, "c", "d", "e"]
    assert looked == [1], "another archer committed"
    other.tell(make_record(name="f"), "r")
    reader.tell(make_record(Status.REJECTED, name="g"), "r")
    assert [line.name for line in reader.lines()] == [*NAMES, "c", "d", "e", "f", "g"], "told beside another's"
    monkeypatch.setattr(index, "LASTS", 0)
    reader._index.refresh()
    looked.clear()
    reader.lines()
    assert looked == [1], "time is over"


def test_the_newest_pruned_are_those_of_today_though_an_older_version_has_newer_ones(archive: Archive):
    for name, version in (("a", QUICK.hash), ("b", QUICK.hash), ("c", "0123456789abcdef")):
        trials = [make_trial(make_variant(name), "Compress", 0, 0.3, protocol_hash=version)]
        archive.tell(make_record(Status.PRUNED, name=name, protocol_hash=version, trials=trials), "r")
    assert list(archive.pruned_trials("quick")) == ["a", "b"]
    assert list(archive.pruned_trials("quick", 1)) == ["b"]


@pytest.fixture
def looked(told: Archive, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A mark for each look at all files of an archive that counts as large, after a first look that was kept."""
    monkeypatch.setattr(index, "LARGE", 1)
    monkeypatch.setattr(changes, "RACY", 0)
    (told.root / ".git" / "archer-index.sqlite").unlink(missing_ok=True)
    Archive(told.root).lines()
    found: list[int] = []
    refresh = ArchiveIndex.refresh
    monkeypatch.setattr(ArchiveIndex, "refresh", lambda self: found.append(1) or refresh(self))
    return found


def test_a_look_of_another_archer_does_until_something_is_committed(told: Archive, looked: list[int]):
    other = Archive(told.root)
    assert [line.name for line in other.lines()] == [*NAMES, "c"]
    assert NAMES[0] in other.trials("quick")
    assert looked == []
    told.tell(make_record(name="d"), "r")
    looked.clear()
    assert [line.name for line in Archive(told.root).lines()] == [*NAMES, "c", "d"]
    assert looked == [1]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_look_does_neither_for_long_nor_after_a_clock_was_set_back(
    told: Archive, looked: list[int], monkeypatch: pytest.MonkeyPatch, hours: int
):
    kept = told.root / ".git" / "archer-index.sqlite"
    with contextlib.closing(sqlite3.connect(kept)) as opened, opened:
        opened.execute("UPDATE looks SET since = since + ?, until = since + ?", (-3600 * hours, 60 - 3600 * hours))
    assert len(Archive(told.root).lines()) == 3
    assert looked == [1]


def test_a_look_whose_lines_cannot_be_read_is_none(told: Archive, looked: list[int]):
    with contextlib.closing(sqlite3.connect(told.root / ".git" / "archer-index.sqlite")) as kept, kept:
        kept.execute("DELETE FROM block")
    assert [line.name for line in Archive(told.root).lines()] == [*NAMES, "c"]
    assert looked == [1]


def test_damage_is_looked_for_again_each_time(told: Archive, looked: list[int]):
    damaged = told.root / "proposals" / told.ids()[0] / "proposal.json"
    damaged.write_text("{ not json\n")
    Archive(told.root).look_anew()
    looked.clear()
    for _ in range(2):
        assert list(Archive(told.root).damage()) == [told.ids()[0]]
    assert looked == [1, 1]


def test_verify_looks_at_all_files_though_another_just_did(told: Archive, looked: list[int]):
    path = told.root / "proposals" / told.ids()[0] / "trials.jsonl"
    path.write_text(path.read_text().replace("0.6", "0.7"))
    found = list(problems(Archive(told.root)))
    assert looked
    assert any("leaderboards/quick.csv" in line or "scorecard" in line for line in found), found


@pytest.fixture
def grouped(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Archive:
    """The same proposals, in a folder in between, which all but the first thousand are."""
    monkeypatch.setattr(places, "BORDER", 1)
    archive: Archive = request.getfixturevalue("told")
    request.getfixturevalue("looked")
    return archive


def test_what_changed_in_a_large_archive_is_found_without_looking_at_all_of_it(grouped: Archive, looked: list[int]):
    root, other = grouped.root, Archive(grouped.root)
    assert [line.name for line in other.lines()] == [*NAMES, "c"]
    grouped.tell(make_record(name="d"), "r")
    looked.clear()  # who told it has not looked at it as a large one
    assert [line.name for line in other.lines()] == [*NAMES, "c", "d"]
    first, second, *_ = proposal_places(root).values()
    path = root / first / "proposal.json"
    path.write_text(path.read_text().replace('"title": "', '"title": "Anew: '))
    git(root, "commit", "--quiet", "--all", "--message", "a title")
    shutil.rmtree(root / second)
    git(root, "commit", "--quiet", "--all", "--message", "one less")
    for archive in (other, Archive(root)):
        assert [line.name for line in archive.lines()] == [NAMES[0], "c", "d"]
        assert archive.history()[0].proposal.title.startswith("Anew: ")
    (root / first / "proposal.json").write_text("{ not json\n")
    git(root, "commit", "--quiet", "--all", "--message", "damage")
    assert list(other.damage()) == [first.rpartition("/")[2]]
    assert looked == []
    assert list(other.damage()) == [first.rpartition("/")[2]]
    assert looked == [1], "damage is looked for again"


def git_wrote(root: Path) -> None:
    (root / "notes.txt").write_text("mine")
    git(root, "add", "notes.txt")


def git_lost_the_commit(root: Path) -> None:
    with contextlib.closing(sqlite3.connect(root / ".git" / "archer-index.sqlite")) as kept, kept:
        kept.execute("UPDATE looks SET head = ?", ("0" * 40,))
    git(root, "commit", "--quiet", "--allow-empty", "--message", "another")
    git_wrote(root)


def a_folder_is_new(root: Path) -> None:
    (root / "proposals" / "0100-0199").mkdir()


def test_an_archive_that_lost_its_proposals_has_none(grouped: Archive, looked: list[int]):
    shutil.rmtree(grouped.root / "proposals")
    assert Archive(grouped.root).lines() == []
    assert looked == [1]


@pytest.mark.parametrize("happens", [git_wrote, git_lost_the_commit, a_folder_is_new])
def test_where_it_cannot_be_told_what_changed_all_is_looked_at(
    grouped: Archive, looked: list[int], happens: Callable[[Path], None]
):
    path = grouped.root / next(iter(proposal_places(grouped.root).values())) / "proposal.json"
    path.write_text(path.read_text().replace('"title": "', '"title": "Anew: '))
    assert not Archive(grouped.root).history()[0].proposal.title.startswith("Anew: "), "nothing tells of it yet"
    assert looked == []
    happens(grouped.root)
    assert Archive(grouped.root).history()[0].proposal.title.startswith("Anew: ")
    assert looked == [1]


def test_what_is_seen_while_somebody_writes_is_looked_at_again(grouped: Archive, looked: list[int]):
    """Who is killed then leaves files that the next archer takes back, without a commit that would tell."""
    git_wrote(grouped.root)
    with grouped.writing():
        looked.clear()
        Archive(grouped.root).lines()
        Archive(grouped.root).lines()
        assert looked == [1, 1]
    for _ in range(2):
        Archive(grouped.root).lines()
        assert looked == [1, 1, 1], "and this look does for the next"


def test_what_vanished_from_a_history_is_an_error_that_names_it(told: Archive):
    history, first = told.history(), told.ids()[0]
    shutil.rmtree(told.root / "proposals" / first)
    told.lines()
    with pytest.raises(ArchiveError, match=f"{first} is gone"):
        list(history)
    assert [outline.number for outline in reversed(told.history())] == [3, 2]


@pytest.mark.parametrize("damage", ["[1", "[[1]]", "{}", "3", json.dumps([["a"], [1]] + [["b"]] * 14)])
def test_a_kept_block_that_is_damaged_is_read_again(told: Archive, damage: str):
    lines = told.lines()
    with contextlib.closing(sqlite3.connect(told.root / ".git" / "archer-index.sqlite")) as kept, kept:
        kept.execute("UPDATE block SET columns = ?", (damage,))
    assert Archive(told.root).lines() == lines
    with contextlib.closing(sqlite3.connect(told.root / ".git" / "archer-index.sqlite")) as kept:
        assert kept.execute("SELECT columns FROM block").fetchone() != (damage,), "and mended"
