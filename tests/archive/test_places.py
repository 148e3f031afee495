"""From a number on, proposals lie in folders of some: everything reads them there as well as side by side."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive.errors import ArchiveError
from archive.merging.merge import merge
from archive.records import places
from archive.records.places import (
    newest_number,
    proposal_of,
    proposal_place,
    proposals_numbered,
    shard_of,
    variant_of,
    variant_place,
)
from archive.records.record import Record
from archive.store import Archive
from archive.verified import Verified, note_verified, state_of
from archive.verify import problems
from evaluator.outcomes import Status
from tests.builders import SOURCE, make_record
from tests.git_command import git
from variants.contract import BASELINE

NAMES = ("first", "second", "third", "fourth")


@pytest.fixture
def low_border(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the third proposal on there are folders in between."""
    monkeypatch.setattr(places, "BORDER", 3)


def tell(archive: Archive, name: str) -> Record:
    """Predict, and archive the proposal."""
    record = make_record(name=name, source=f"{SOURCE}# {name}\n")
    commit = archive.tell_predictions(record.proposal, record.protocol, record.protocol_hash)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return archive.tell(record.model_copy(update={"predicted": commit, "created": created}), f"# {name}\n")


@pytest.fixture
def over(archive: Archive, low_border: None) -> Archive:
    """An archive of four proposals, two on each side of the border."""
    for name in NAMES:
        tell(archive, name)
    return archive


@pytest.fixture
def flat(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """The same as an older archer wrote it: all side by side. The border is low from now on."""
    for name in NAMES:
        tell(archive, name)
    monkeypatch.setattr(places, "BORDER", 3)
    return archive


def test_the_newest_number_is_found_in_the_last_folder_that_has_any(over: Archive, tmp_path: Path):
    assert newest_number(over.root) == 4
    (over.root / "proposals" / "0100-0199").mkdir()
    (over.root / "proposals" / "10000-10099" / "0007-elsewhere").mkdir(parents=True)
    assert newest_number(over.root) == 4
    (over.root / "proposals" / "0100-0199" / "0150-x").mkdir()
    assert newest_number(over.root) == 150
    (over.root / "proposals" / "0999-flat").mkdir()
    assert newest_number(over.root) == 999
    assert newest_number(tmp_path / "nothing") == 0


def test_a_number_or_folder_name_is_found_in_both_places(over: Archive):
    for reference, wanted in {
        "2": "0002-second", "0002": "0002-second", "0004-fourth": "0004-fourth", "fourth": "0004-fourth",
        "4": "0004-fourth", "5": None, "4-fourth": None, "0004-first": None, "104": None,
    }.items():  # fmt: skip
        assert over.identity(reference) == wanted, reference
    for another in ("0000-0099/0004-earlier", "0100-0199/0004-elsewhere", "0004-alike"):
        (over.root / "proposals" / another).mkdir(parents=True)
    assert proposals_numbered(over.root, 4) == [i for i in over.ids() if i.startswith("0004-")]
    assert over.identity("4") == over.ids()[3] == "0004-earlier"


def test_the_first_lie_side_by_side_and_later_ones_in_folders(over: Archive):
    found = {str(path.relative_to(over.root)) for path in over.root.glob("proposals/**/report.md")}
    inside = "proposals/0000-0099"
    assert found == {
        "proposals/0001-first/report.md", "proposals/0002-second/report.md",
        f"{inside}/0003-third/report.md", f"{inside}/0004-fourth/report.md",
    }  # fmt: skip
    variants = {str(path.relative_to(over.root)) for path in over.root.glob("variants/**/*.py")}
    assert variants == {
        f"variants/{BASELINE}.py", "variants/first.py", "variants/second.py",
        f"variants/{shard_of('third')}/third.py", f"variants/{shard_of('fourth')}/fourth.py",
    }  # fmt: skip
    predicted = git(over.root, "ls-tree", "-r", "--name-only", "predictions").split()
    assert set(predicted) == {"first.json", "second.json", "third.json", f"{shard_of('fourth')}/fourth.json"}


def test_the_groups_of_real_archives():
    assert [places.group_of(number) for number in (1_000, 1_234, 12_345)] == ["1000-1099", "1200-1299", "12300-12399"]
    assert proposal_place(Path("none"), "0999-a") == "proposals/0999-a"
    assert proposal_place(Path("none"), "1234-a") == "proposals/1200-1299/1234-a"
    assert variant_place(Path("none"), "a", 999) == "variants/a.py"
    assert variant_place(Path("none"), "a", 1_000) == f"variants/{shard_of('a')}/a.py"


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("proposals/0001-a/report.md", "0001-a"),
        ("proposals/1234-a", "1234-a"),
        ("proposals/1200-1299/1234-a/check.json", "1234-a"),
        ("proposals/1200-1299", None),
        ("proposals/1200-1299/1300-a/check.json", None),
        ("proposals/README", None),
        ("variants/a.py", None),
    ],
)
def test_a_path_belongs_to_a_proposal(path: str, identity: str | None):
    assert proposal_of(path) == identity


def test_a_path_is_a_variants():
    assert variant_of("variants/a.py") == variant_of(f"variants/{shard_of('a')}/a.py") == "a"
    assert variant_of("variants/zz/a.py") is variant_of("variants/a.txt") is variant_of("trials/a.py") is None


def test_everything_is_read_from_both_places(over: Archive):
    again = Archive(over.root)
    assert [identity.split("-")[1] for identity in again.ids()] == list(NAMES)
    assert [again.record(name).proposal.variant.name for name in NAMES] == list(NAMES)
    assert {name: again.variants()[name].source for name in NAMES} == {name: f"{SOURCE}# {name}\n" for name in NAMES}
    assert again.variant_names() == sorted([BASELINE, *NAMES])
    assert again.report(again.record("4")) == "# fourth\n"
    assert again.free_name("fourth") == "fourth_2"
    assert set(again.trials("quick")) == {BASELINE, *NAMES}
    told = git(again.root, "rev-list", "--reverse", "HEAD~4..").split()
    assert again.commits() == dict(zip(again.ids(), told, strict=True))
    assert again.contents().keys() == set(again.ids())
    assert again.commit_of(again.record("4")) == git(again.root, "rev-parse", "HEAD").strip()
    assert list(problems(again)) == []


def test_a_large_flat_archive_of_an_older_archer_is_valid_and_goes_on(flat: Archive):
    assert list(problems(Archive(flat.root))) == []
    assert tell(Archive(flat.root), "fifth").number == 5
    assert (flat.root / "proposals/0000-0099/0005-fifth").is_dir()
    assert list(problems(Archive(flat.root))) == []


def test_changes_and_damage_are_found_in_the_folders_too(over: Archive):
    note_verified(over, state_of(over))
    scored = over.root / "proposals/0000-0099/0004-fourth/scorecard.json"
    scored.write_text("{")
    assert Archive(over.root).contents().keys() == set(over.ids()[:3])
    since = Verified.of(over)
    assert since is not None
    assert since.changed_proposals() == ["0004-fourth"]
    found = "\n".join(problems(Archive(over.root), since))
    assert "0000-0099/0004-fourth/scorecard.json cannot be read" in found
    git(over.root, "checkout", "--quiet", ".")
    (over.root / f"variants/{shard_of('third')}/third.py").write_text("x = 1\n")
    assert since.changed_proposals() == ["0003-third"]


def test_what_lies_in_both_places_is_a_problem(over: Archive):
    (over.root / "variants/fourth.py").write_text(f"{SOURCE}# fourth\n")
    found = "\n".join(problems(Archive(over.root)))
    assert f"variants/{shard_of('fourth')}/fourth.py lies in another place too" in found


def test_a_link_in_place_of_a_folder_is_not_written_through(archive: Archive, low_border: None, tmp_path: Path):
    for name in NAMES[:2]:
        tell(archive, name)
    (tmp_path / "elsewhere").mkdir()
    (archive.root / "proposals/0000-0099").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArchiveError, match="is a link"):
        archive.tell(make_record(name="third"), "r")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_killed_before_the_commit_it_is_finished_in_its_folder(over: Archive):
    git(over.root, "reset", "--soft", "HEAD~1")
    git(over.root, "reset", "--quiet")
    (over.root / "proposals/0000-0099/.tmp-0005-half").mkdir()
    assert Archive(over.root).recover() == ["0004-fourth"]
    assert list(over.root.glob("proposals/**/.tmp-*")) == []
    assert list(problems(Archive(over.root))) == []


def test_an_interrupted_proposal_ends_in_its_folder(over: Archive):
    told = over.tell(make_record(Status.INTERRUPTED, name="fifth"), "begun")
    over.retell(make_record(Status.SCORED, name="fifth", number=told.number), "ended")
    assert (over.root / "proposals/0000-0099/0005-fifth/report.md").read_text() == "ended"
    assert list(problems(Archive(over.root))) == []


@pytest.mark.slow
def test_archives_on_both_sides_of_the_border_are_merged(over: Archive, tmp_path: Path):
    subprocess.run(["git", "clone", "--quiet", str(over.root), str(tmp_path / "other")], check=True)
    other = Archive(tmp_path / "other")
    tell(over, "ours")
    theirs = tell(other, "theirs")
    done = merge(over, str(other.root), lambda _: None)
    assert done.added == [("0006-theirs", theirs.id)]
    assert done.ignored == 0
    assert (over.root / "proposals/0000-0099/0006-theirs").is_dir()
    predicted = git(over.root, "ls-tree", "-r", "--name-only", "predictions").split()
    assert {f"{shard_of(name)}/{name}.json" for name in ("fourth", "ours", "theirs")} < set(predicted)
    assert list(problems(Archive(over.root))) == []


def test_a_flat_archive_is_regrouped_in_one_commit_that_git_takes_back(flat: Archive):
    before = flat.records()
    assert flat.regroup() == 4
    assert (flat.root / "proposals/0000-0099/0003-third").is_dir()
    assert (flat.root / f"variants/{shard_of('third')}/third.py").is_file()
    assert git(flat.root, "status", "--porcelain") == ""
    regrouped = Archive(flat.root)
    assert regrouped.records() == before
    assert list(problems(regrouped)) == []
    assert regrouped.regroup() == 0
    git(flat.root, "-c", "user.name=x", "-c", "user.email=x@x", "revert", "--no-edit", "HEAD")
    assert (flat.root / "proposals/0003-third").is_dir()
    assert Archive(flat.root).records() == before
    assert list(problems(Archive(flat.root))) == []


def test_an_archive_with_changes_is_not_regrouped(flat: Archive):
    (flat.root / "variants/note.txt").write_text("mine")
    with pytest.raises(ArchiveError, match=r"variants/note\.txt differs from the last commit"):
        flat.regroup()
    assert (flat.root / "proposals/0003-third").is_dir()
