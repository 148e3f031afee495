"""Two archives become one: nothing lost or doubled, links right, and the other one is data, never code."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from archive.confirmations import Confirmation, Difference
from archive.errors import ArchiveError
from archive.frames import Frames
from archive.merging.matching import identity
from archive.merging.merge import merge
from archive.merging.renaming import renamed_record
from archive.merging.result import Merged
from archive.records.record import Exchange
from archive.seeding import create
from archive.store import Archive
from archive.verify import problems
from evaluator.outcomes import Status
from evaluator.protocols.built_in import QUICK, SMOKE
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import NAME, SOURCE, make_comparison, make_record, make_trials, make_variant, make_verdict
from tests.git_command import commit_all, git
from variants.contract import BASELINE

pytestmark = pytest.mark.slow  # many git repositories, each built from nothing


def bring(archive: Archive, other: Path | str) -> Merged:
    return merge(archive, str(other), lambda _: None)


def sound(archive: Archive) -> bool:
    assert list(problems(Archive(archive.root))) == []
    return True


@pytest.fixture
def other(archive: Archive, tmp_path: Path) -> Archive:
    """A second archive that began as a copy of the first."""
    shutil.copytree(archive.root, tmp_path / "other")
    return Archive(tmp_path / "other")


@pytest.fixture
def pair(archive: Archive, other: Archive) -> tuple[Archive, Archive]:
    """One proposal in both, under another number; and in each one of the same name with other code, with a child."""
    shared = make_record(name="both_had_this")
    archive.tell(shared, "shared")
    for where, code in ((archive, "# here\n"), (other, "# there\n")):
        where.tell(make_record(name="own_idea", source=SOURCE + code), "`own_idea`")
        verdict = make_verdict({"Memorize": make_comparison("better")}, against="own_idea")
        insights = ("`own_idea` led", "own_idea did")
        child = make_record(name="child", parent="own_idea", insights=insights, verdicts=(verdict,))
        where.tell(child, f"a child of `own_idea` {code}")
    other.tell(shared, "shared")
    return archive, other


def test_nothing_is_lost_or_doubled_and_links_follow_names(pair: tuple[Archive, Archive]):
    ours, theirs = pair
    done = bring(ours, theirs.root)
    assert [there for _, there in done.added] == ["0001-own_idea", "0002-child"]
    assert (done.known, done.renamed) == (1, {"own_idea": "own_idea_2", "child": "child_2"})
    ours = Archive(ours.root)
    child = ours.record("child_2")
    assert (child.number, child.proposal.parent, child.verdicts[0].against) == (5, "own_idea_2", "own_idea_2")
    assert child.proposal.insights == ("`own_idea_2` led", "own_idea_2 did")
    assert ours.report(child) == "a child of `own_idea_2` # there\n"
    assert {trial.variant for trial in child.trials} == {"child_2"}
    assert ours.record("child").proposal.parent == "own_idea"
    assert sound(ours)
    assert {row.split(",")[0] for row in (ours.root / "leaderboards" / "quick.csv").read_text().splitlines()[1:]} == {
        BASELINE, "both_had_this", "own_idea", "child", "own_idea_2", "child_2"
    }  # fmt: skip


def test_one_commit_a_proposal_that_names_where_it_comes_from(pair: tuple[Archive, Archive]):
    ours, theirs = pair
    bring(ours, theirs.root)
    trailers = git(ours.root, "log", "--format=%(trailers:only,unfold)", "-1", "--", "proposals/0005-child_2")
    lines = trailers.split("\n")
    assert f"Merged-From: 0002-child {theirs.commits()['0002-child']}" in lines
    assert "Parent: own_idea_2" in lines


def test_merging_again_brings_nothing(pair: tuple[Archive, Archive]):
    ours, theirs = pair
    bring(ours, theirs.root)
    head = git(ours.root, "rev-parse", "HEAD")
    again = bring(Archive(ours.root), theirs.root)
    assert (again.added, again.known, again.trials) == ([], 3, 0)
    assert git(ours.root, "rev-parse", "HEAD") == head
    back = bring(theirs, ours.root)
    assert len(back.added) == 2
    assert bring(Archive(ours.root), theirs.root).added == []


def test_both_ways_give_the_same_set(pair: tuple[Archive, Archive], tmp_path: Path):
    ours, theirs = pair
    shutil.copytree(ours.root, tmp_path / "ours_before")
    bring(ours, theirs.root)
    bring(theirs, tmp_path / "ours_before")
    both = [Counter(identity(r, a.variants()) for r in a.records()) for a in map(Archive, (ours.root, theirs.root))]
    assert both[0] == both[1]
    assert sum(both[0].values()) == 5
    assert sound(theirs)


def test_a_proposal_that_made_a_seed_of_here_keeps_its_name_and_its_trials_count_once(archive: Archive, tmp_path: Path):
    """As when a user merges the search whose finds ship as seed variants."""
    seed = make_variant(name="found_and_shipped")
    record = make_record(name=seed.name)
    ours = create(tmp_path / "ours", {BASELINE: make_variant(name=BASELINE), seed.name: seed}, record.trials, {})
    archive.tell(record, "r")
    done = bring(ours, archive.root)
    assert (done.renamed, [here for here, _ in done.added]) == ({}, [f"0001-{seed.name}"])
    ours = Archive(ours.root)
    assert tuple(ours.trials("quick")[seed.name]) == record.trials
    frame = Frames(ours.root).trials()
    assert len(frame[frame["name"] == seed.name]) == len(record.trials)
    assert sound(ours)
    again = bring(ours, archive.root)
    assert (again.added, again.known) == ([], 1)


def test_proposal_that_was_made_twice_there_comes_twice(archive: Archive, other: Archive):
    for name in ("once", "twice"):
        other.tell(make_record(Status.DUPLICATE, name=name), "r")
    assert len(bring(archive, other.root).added) == 2
    assert bring(Archive(archive.root), other.root).added == []


def test_interrupted_merge_is_sound_and_is_finished_by_the_next(pair: tuple[Archive, Archive]):
    ours, theirs = pair

    def stop(_done: int, _of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(ours, str(theirs.root), lambda _: None, stop)
    assert sound(ours)
    assert [there for _, there in bring(Archive(ours.root), theirs.root).added] == ["0002-child"]
    assert Archive(ours.root).record("child_2").proposal.parent == "own_idea_2"
    assert sound(ours)


def test_trials_of_a_proposal_that_did_not_come_yet_are_left_to_the_next_merge(
    pair: tuple[Archive, Archive], monkeypatch: pytest.MonkeyPatch
):
    ours, theirs = pair
    theirs.tell_trials(make_trials(theirs.variants()["own_idea"], protocol=SMOKE))
    with monkeypatch.context() as patched:
        patched.setattr(Archive, "adopt", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bring(ours, theirs.root)
    assert sound(ours)
    assert ours.free_name("own_idea") == "own_idea_2"
    assert "own_idea_2" not in ours.trials("smoke"), "whoever gets that name now has none of these"
    assert bring(ours, theirs.root).trials == 18
    assert "own_idea_2" in ours.trials("smoke")
    assert sound(ours)


def test_killed_before_the_commit_keeps_its_trailer(pair: tuple[Archive, Archive]):
    ours, theirs = pair
    bring(ours, theirs.root)
    git(ours.root, "reset", "--soft", "HEAD~2")
    git(ours.root, "reset", "--quiet")
    assert Archive(ours.root).recover() == ["0005-child_2"]
    assert "Merged-From: 0002-child" in git(ours.root, "log", "-1", "--format=%B", "--", "proposals/0005-child_2")
    assert sound(ours)


def test_trials_asks_and_imported_leaderboards_come_along(archive: Archive, other: Archive):
    seed = archive.variants()[BASELINE]
    (trial,) = [t for t in archive.trials("quick")[BASELINE] if (t.task, t.seed) == ("Memorize", 0)]
    other.tell_trials([trial.model_copy(update={"task": task, "seed": 7}) for task in MAD_TASKS])
    other.tell_failed_ask("2026-01-01T00:00:00Z", "no JSON", [Exchange(attempt=1, prompt="p", reply="r")])
    other.tell_leaderboard("Größen_of_Table_2", f"name,{','.join(MAD_TASKS)}\nx,0,0,0,0,0,1\n")
    done = bring(archive, other.root)
    assert (done.trials, done.conflicts) == (6, 0)
    ours = Archive(archive.root)
    assert {t.seed for t in ours.trials("quick")[BASELINE]} == {0, 1, 2, 7}
    assert ours.variants()[BASELINE] == seed
    assert (ours.root / "leaderboards" / "Größen_of_Table_2.csv").exists()
    assert len(list((ours.root / "asks").iterdir())) == 1
    assert sound(ours)
    head = git(ours.root, "rev-parse", "HEAD")
    bring(ours, other.root)
    assert git(ours.root, "rev-parse", "HEAD") == head


@pytest.mark.parametrize("here_too", [False, True])
def test_an_interrupted_proposal_is_told_as_it_ended_elsewhere(archive: Archive, other: Archive, here_too: bool):
    trials = make_trials(make_variant("cut_off"), [0.5], protocol=SMOKE)
    cut_off = make_record(Status.INTERRUPTED, "cut_off", protocol=SMOKE, trials=trials[:2])
    whole = make_record(name="cut_off", protocol=SMOKE, trials=trials)
    for where, number in ((archive, 1), (other, 2)):
        if number == 2:
            other.tell(make_record(name="another"), "r")
        where.tell(cut_off, "cut off")
    other.retell(whole.model_copy(update={"number": 2}), "ended")
    if here_too:
        bring(other, archive.root)
        assert [line.status for line in other.lines()] == [Status.SCORED] * 2, "what is less far here changes nothing"
    done = bring(archive, other.root)
    assert done.further == [("0001-cut_off", "0002-cut_off")]
    assert [(line.name, line.status) for line in Archive(archive.root).lines()] == [
        ("cut_off", Status.SCORED),
        ("another", Status.SCORED),
    ]
    assert Archive(archive.root).report(archive.record("1")) == "ended"
    assert "cut_off" in (archive.root / "leaderboards" / "smoke.csv").read_text()
    assert sound(archive)
    again = bring(archive, other.root)
    assert (again.added, again.further, again.known) == ([], [], 2)


def test_of_two_interrupted_the_one_that_is_further_stays(archive: Archive, other: Archive):
    trials = make_trials(make_variant("cut_off"), [0.5], protocol=SMOKE)
    for where, ended in ((archive, 1), (other, 3)):
        where.tell(make_record(Status.INTERRUPTED, "cut_off", protocol=SMOKE, trials=trials[:ended]), "r")
    assert bring(archive, other.root).further == [("0001-cut_off", "0001-cut_off")]
    assert len(archive.record("1").trials) == 3
    assert bring(other, archive.root).further == []


def test_a_file_without_trials_brings_none(archive: Archive, other: Archive):
    (other.root / "trials" / "quick" / "of_nobody.jsonl").touch()
    commit_all(other.root)
    assert sound(other)
    assert bring(archive, other.root).trials == 0
    assert sound(archive)


def test_other_results_of_the_same_trial_do_not_replace_ours(archive: Archive, other: Archive):
    path = other.root / "trials" / "quick" / f"{BASELINE}.jsonl"
    path.write_text(path.read_text().replace('"accuracy":0.5,', '"accuracy":0.99,'))
    other.rebuild_leaderboards()
    commit_all(other.root)
    before = archive.trials("quick")
    assert bring(archive, other.root).conflicts == 6
    assert Archive(archive.root).trials("quick") == before


def test_another_version_of_a_protocol_is_kept_apart(archive: Archive, other: Archive):
    trials = make_trials(make_variant(), protocol_hash="0" * 16)
    other.tell(make_record(trials=trials, protocol_hash="0" * 16), "r")
    done = bring(archive, other.root)
    assert done.apart == {"quick": ["0" * 16]}
    assert len(done.added) == 1
    assert NAME not in (archive.root / "leaderboards" / "quick.csv").read_text()
    assert sound(archive)


def link_out(root: Path) -> None:
    (root / "variants" / "out.py").symlink_to("/etc/passwd")


def link_folder(root: Path) -> None:
    shutil.rmtree(root / "trials")
    (root / "trials").symlink_to("/tmp")


def improve(root: Path) -> None:
    (path,) = root.glob("proposals/*/scorecard.json")
    path.write_text(path.read_text().replace("0.61", "0.99"))


def not_a_number(root: Path) -> None:
    (path,) = root.glob("proposals/*/scorecard.json")
    path.write_text(path.read_text().replace('"cpu_seconds": 0.0', '"cpu_seconds": NaN'))


def lead_out(root: Path) -> None:
    for path in (*root.glob("proposals/*/*.json"), *root.glob("proposals/*/*.jsonl")):
        path.write_text(path.read_text().replace('"quick"', '"../../quick"'))


def no_date(root: Path) -> None:
    (path,) = root.glob("proposals/*/proposal.json")
    path.write_text(path.read_text().replace("2026-01-01T00:00:00Z", "\\u001b[2J"))


def deep(root: Path) -> None:
    (path,) = root.glob("proposals/*/check.json")
    path.write_text("[" * 15_000)


def other_format(root: Path) -> None:
    (root / "archive.json").write_text('{"format": 99}')


def no_archive(root: Path) -> None:
    (root / "archive.json").unlink()


def large(root: Path) -> None:
    (path,) = root.glob("proposals/*/report.md")
    path.write_text("x" * 20_000)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (link_out, "holds a link"),
        (link_folder, "holds a link"),
        (improve, "not what its trials give"),
        (not_a_number, "not JSON compliant"),
        (lead_out, "no name of a protocol"),
        (no_date, "Invalid isoformat"),
        (deep, "JSON"),
        (other_format, "format 99"),
        (no_archive, "no archive"),
        (large, "20000 bytes"),
    ],
)
def test_hostile_or_damaged_archive_is_refused_whole(
    archive: Archive,
    other: Archive,
    harm: Callable[[Path], None],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
):
    told = other.tell(make_record(), "r")
    (other.root / "proposals" / told.id / "check.json").write_text("{}")
    if harm is not deep:
        (other.root / "proposals" / told.id / "check.json").unlink()
    harm(other.root)
    commit_all(other.root)
    monkeypatch.setattr("archive.merging.fetch.MAX_FILE", 19_999)
    head, files = git(archive.root, "rev-parse", "HEAD"), sorted(archive.root.rglob("*.*"))
    with pytest.raises(ArchiveError, match=says):
        bring(archive, other.root)
    assert git(archive.root, "rev-parse", "HEAD") == head
    assert sorted(path for path in archive.root.rglob("*.*") if path.name != "archer.lock") == files


def test_hooks_filters_and_settings_of_the_other_are_never_run(archive: Archive, other: Archive, tmp_path: Path):
    other.tell(make_record(), "r")
    trap = f"touch {tmp_path}/run"
    (other.root / ".gitattributes").write_text("* filter=trap diff=trap\n")
    commit_all(other.root)
    hooks = other.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-merge", "post-upload-pack", "pre-commit"):
        (hooks / name).write_text(f"#!/bin/sh\n{trap}\n")
        (hooks / name).chmod(0o755)
    for key in ("filter.trap.smudge", "uploadpack.packObjectsHook", "core.fsmonitor", "diff.trap.textconv"):
        git(other.root, "config", key, trap)
    assert len(bring(archive, other.root).added) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("where", ["/nowhere/at/all", "ext::sh -c touch% /tmp/run", "-u", "--upload-pack=x"])
def test_what_is_no_repository_is_one_line(archive: Archive, where: str):
    with pytest.raises(ArchiveError, match="nothing to merge at"):
        bring(archive, where)


def test_bare_clone_and_clone_of_a_clone_are_merged_and_whole(archive: Archive, other: Archive, tmp_path: Path):
    other.tell(make_record(), "r")
    git(other.root, "branch", "predictions")
    git(tmp_path, "clone", "-q", "--bare", str(other.root), "bare.git")
    git(tmp_path, "clone", "-q", "bare.git", "first")
    assert sound(Archive(tmp_path / "first"))
    git(tmp_path, "clone", "-q", "first", "second")
    assert sound(Archive(tmp_path / "second"))
    branches = [git(tmp_path / clone, "rev-parse", "predictions") for clone in ("bare.git", "first", "second")]
    assert len(set(branches)) == 1
    assert len(bring(archive, tmp_path / "bare.git").added) == 1
    assert bring(Archive(archive.root), f"file://{tmp_path}/second").added == []


def test_shallow_clone_is_found_incomplete(archive: Archive, tmp_path: Path):
    archive.tell(make_record(), "r")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{archive.root}", "shallow")
    assert "git fetch --unshallow" in "\n".join(problems(Archive(tmp_path / "shallow")))


def test_link_in_a_clone_is_not_followed(archive: Archive, tmp_path: Path):
    told = archive.tell(make_record(), "r")
    (tmp_path / "secret").write_text("secret")
    report = archive.root / "proposals" / told.id / "report.md"
    report.unlink()
    report.symlink_to(tmp_path / "secret")
    with pytest.raises(ArchiveError, match="is a link"):
        archive.report(told)
    commit_all(archive.root)
    assert "is a link" in "\n".join(problems(Archive(archive.root)))


def test_names_of_variants_in_what_was_sent_stay():
    exchange = Exchange(attempt=1, prompt="own_idea", reply="own_idea")
    record = make_record(name="own_idea", exchanges=(exchange,), reason="like own_idea_x")
    moved = renamed_record(record, {"own_idea": "own_idea_2"})
    assert moved.exchanges == record.exchanges
    assert (moved.reason, moved.proposal.variant.name) == ("like own_idea_x", "own_idea_2")
    assert json.loads(moved.model_dump_json())["proposal"]["title"] == "An idea"


def test_predictions_keep_the_commits_that_date_them(archive: Archive, other: Archive):
    archive.tell(make_record(name="own_idea", source="def delta_rule_chunkwise(): pass\n"), "r")
    for where, name, code in ((archive, "here", ""), (other, "own_idea", "# there\n"), (other, "there", "")):
        record = make_record(name=name, source=SOURCE + code)
        predicted = where.tell_predictions(record.proposal, record.protocol, record.protocol_hash)
        dated = {"predicted": predicted, "created": "2100-01-01T00:00:00+00:00"}
        where.tell(record.model_copy(update=dated), "r")
    bring(archive, other.root)
    ours = Archive(archive.root)
    assert [record.proposal.variant.name for record in ours.records()] == ["own_idea", "here", "own_idea_2"]
    assert sound(ours)
    assert len(bring(other, archive.root).added) == 1
    assert sound(other)
    git(other.root, "branch", "-D", "predictions")
    with pytest.raises(ArchiveError, match="not on the branch predictions"):
        bring(ours, other.root)


def tell_predicted(archive: Archive, name: str, code: str, parent: str = BASELINE) -> None:
    record = make_record(name=name, source=SOURCE + code, parent=parent)
    predicted = archive.tell_predictions(record.proposal, record.protocol, record.protocol_hash)
    dated = {"predicted": predicted, "created": "2100-01-01T00:00:00+00:00"}
    archive.tell(record.model_copy(update=dated), "r")


def test_predictions_are_found_after_two_merges_that_rename(archive: Archive, other: Archive, tmp_path: Path):
    shutil.copytree(archive.root, tmp_path / "first")
    first = Archive(tmp_path / "first")
    tell_predicted(first, "idea", "# first\n")
    tell_predicted(first, "child", "# child\n", "idea")
    tell_predicted(other, "idea", "# other\n")
    bring(other, first.root)
    for name in ("idea", "idea_2"):
        tell_predicted(archive, name, f"# here, {name}\n")
    bring(archive, other.root)
    names = [(line.name, line.parent) for line in archive.lines()[2:]]
    assert names == [("idea_3", BASELINE), ("idea_2_2", BASELINE), ("child", "idea_2_2")]
    assert sound(archive)


def confirm(archive: Archive, name: str, outcome: str, accuracy: float = 0.7, version: str = "") -> None:
    """Archive a decision on fresh seeds, with its trials."""
    record = archive.record(name)
    trials = [trial.model_copy(update={"seed": trial.seed + 100, "accuracy": accuracy}) for trial in record.trials]
    difference = Difference(mean=0.1, low=0.05, high=0.15, n=3)
    found = Confirmation.model_validate({
        "variant": name, "against": BASELINE, "protocol": "quick", "protocol_hash": version or record.protocol_hash,
        "outcome": outcome, "first": difference, "fresh": difference, "created": "2026-01-01T00:00:00Z",
    })  # fmt: skip
    archive.tell_confirmation(found, trials)


def test_confirmations_come_along_once_and_under_the_names_of_here(pair: tuple[Archive, Archive]):
    ours, theirs = pair
    confirm(theirs, "own_idea", "confirmed")
    confirm(theirs, "both_had_this", "refuted")
    done = bring(ours, theirs.root)
    count = len(theirs.record("own_idea").trials)
    ours = Archive(ours.root)
    found = ours.confirmations("quick")
    assert {name: each.outcome for name, each in found.items()} == {
        "own_idea_2": "confirmed", "both_had_this": "refuted"
    }  # fmt: skip
    assert found["own_idea_2"].variant == "own_idea_2"
    fresh = ours.fresh_trials("quick")
    assert {name: len(trials) for name, trials in fresh.items()} == {"own_idea_2": count, "both_had_this": count}
    assert {trial.variant for trial in fresh["own_idea_2"]} == {"own_idea_2"}
    assert (done.confirmations, done.trials, done.conflicts) == (2, 2 * count, 0)
    assert sound(ours)
    again = bring(ours, theirs.root)
    assert (again.confirmations, again.trials, again.conflicts) == (0, 0, 0)
    bring(theirs, ours.root)
    assert Archive(theirs.root).fresh_trials("quick")["own_idea"] == theirs.fresh_trials("quick")["own_idea"]
    assert sound(theirs)


def test_a_decision_here_stays_and_an_unfinished_one_gives_way(pair: tuple[Archive, Archive]):
    ours, theirs = pair
    confirm(ours, "both_had_this", "unfinished")
    confirm(theirs, "both_had_this", "confirmed")
    done = bring(ours, theirs.root)
    assert (done.confirmations, done.trials, done.conflicts) == (1, 0, 0), "the same trials are there once"
    assert Archive(ours.root).confirmations("quick")["both_had_this"].outcome == "confirmed"
    for path in (theirs.root / "confirmations" / "quick").glob("both_had_this.*"):
        path.unlink()
    confirm(theirs, "both_had_this", "refuted", accuracy=0.1)
    done = bring(Archive(ours.root), theirs.root)
    assert done.confirmations == 0
    assert done.conflicts > 0
    assert Archive(ours.root).confirmations("quick")["both_had_this"].outcome == "confirmed"
    assert sound(ours)


@pytest.mark.parametrize("older", ["ours", "theirs"])
def test_a_decision_of_the_version_of_today_counts(pair: tuple[Archive, Archive], older: str):
    ours, theirs = pair
    confirm(ours, "both_had_this", "confirmed", version="0" * 16 if older == "ours" else "")
    confirm(theirs, "both_had_this", "refuted", version="0" * 16 if older == "theirs" else "")
    bring(ours, theirs.root)
    kept = Archive(ours.root).confirmations("quick")["both_had_this"]
    assert (kept.outcome, kept.protocol_hash) == ("refuted" if older == "ours" else "confirmed", QUICK.hash)


def test_a_confirmation_of_something_else_is_refused(pair: tuple[Archive, Archive]):
    ours, theirs = pair
    confirm(theirs, "own_idea", "confirmed")
    path = theirs.root / "confirmations" / "quick" / "own_idea.json"
    path.rename(path.with_name("child.json"))
    commit_all(theirs.root)
    before = git(ours.root, "rev-parse", "HEAD")
    with pytest.raises(ArchiveError, match=r"child\.json is of own_idea"):
        bring(ours, theirs.root)
    assert git(ours.root, "rev-parse", "HEAD") == before
