"""The site as files: every status has its page, nothing is written twice, protocols stay apart."""

import re
import shutil
from pathlib import Path

import pytest

from agent.errors import UserError
from agent.site.build import build
from agent.site.content.text import markdown
from archive.confirmations import Confirmation, Difference
from archive.store import Archive
from evaluator.outcomes import Finding, Status
from evaluator.tasks.registry import MAD_TASKS
from tests.agent.site.conftest import PROTOCOL, REPORT, board_of, record_of, trials_of, variant_of
from tests.builders import make_check
from variants.contract import BASELINE, REFERENCE

pytestmark = pytest.mark.slow  # whole sites are built

FIRST, SECOND = "delta_net_4layer_first_in_for_loop", "delta_net_4layer_second_in_for_loop"


def test_a_proposal_on_its_page_and_on_its_board(archive, make, site):
    archive.tell(record_of(FIRST), REPORT)
    built = make()
    page = (site / "proposals" / "0001.html").read_text()
    assert built.proposals == 1
    for told in (
        "The idea of first",
        "the whole prompt",
        "the whole reply",
        "some-model",
        archive.commits().popitem()[1],
    ):
        assert told in page
    assert '<span class="o">*</span> <span class="mf">0.5</span>' in page, "the difference has syntax colours"
    assert '<td class="num">0.5</td>' in page, "the report is rendered"
    row = next(row for row in board_of(site)["rows"] if row.get("page"))
    assert row["scores"][0] == [610_000, 585_159, 634_841, 3]
    assert row["versus"]["reference"][0] == [1, 100_000, 100_000, 100_000]


def test_every_status_has_a_page(archive, make, site):
    leak = Finding(check="causality", status="fail", message="output 37 moves", evidence={"cut": 38})
    failed = make_check(leak, name=FIRST, duplicate_of=SECOND)
    for number, status in enumerate(Status):
        name = f"delta_net_4layer_s{number}_in_for_loop"
        archive.tell(record_of(name, status, reason=f"reason {number}", check=failed if number else None), REPORT)
    make()
    for number, status in enumerate(Status):
        page = (site / "proposals" / f"{number + 1:04d}.html").read_text()
        assert f">{status}</span>" in page
        assert f"reason {number}" in page
    assert "output 37 moves" in page
    assert "<dt>cut</dt><dd>38</dd>" in page
    assert {row["status"] for row in board_of(site)["rows"]} == set(Status)


@pytest.mark.parametrize("last", ["../.archer-report.json", "0001.html", "../index.html"])
def test_a_first_build_that_was_killed_goes_on(archive, make, site, monkeypatch, last):
    archive.tell(record_of(FIRST), REPORT)
    replace, copy = Path.replace, site.with_name("copy")

    def killed_before(draft, target):
        if target == (site / "proposals" / last).resolve() and not copy.exists():
            shutil.copytree(site, copy)
        return replace(draft, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed_before)
        make()
    build(archive, copy, lambda *_: None)
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == sorted(
        path.relative_to(site) for path in site.rglob("*")
    )


def test_only_what_changed_is_written_again(archive, make, site):
    for name in (FIRST, SECOND):
        archive.tell(record_of(name), REPORT)
    make()
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*.html")}
    assert make().written == 0
    archive.tell(record_of("delta_net_4layer_third_in_for_loop", parent=FIRST), REPORT)
    make()
    changed = {path.name for path, when in before.items() if path.stat().st_mtime_ns != when and path.parent != site}
    assert changed == {"0001.html", "0002.html"}, "the first has a child, the second a next one"
    assert "Built on this" in (site / "proposals" / "0001.html").read_text()


def test_a_page_by_hand_or_a_deleted_one_comes_back(archive, make, site):
    archive.tell(record_of(FIRST), REPORT)
    make()
    (site / "proposals" / "0001.html").unlink()
    assert make().written == 1


def test_a_record_that_differs_from_its_commit_is_shown_as_it_is(archive, make, site):
    archive.tell(record_of(FIRST), REPORT)
    make()
    next(archive.root.glob("proposals/*/report.md")).write_text("edited afterwards")
    make()
    page = (site / "proposals" / "0001.html").read_text()
    assert "edited afterwards" in page
    assert "<dt>Commit</dt>" not in page


def test_pages_of_proposals_that_are_gone_go(archive, make, site):
    for name in (FIRST, SECOND):
        archive.tell(record_of(name), REPORT)
    make()
    shutil.rmtree(next(archive.root.glob("proposals/0002-*")))
    built = make()
    assert (built.proposals, built.removed) == (1, 1)
    assert not (site / "proposals" / "0002.html").exists()


def test_another_folder_is_left_alone(archive, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="no report of archer's"):
        build(archive, tmp_path, lambda done, total: None)
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", "search"}


def test_protocols_never_mix(archive, make, site):
    archive.tell(record_of(FIRST), REPORT)
    old = record_of(SECOND, accuracy=0.9)
    trials = tuple(trial.model_copy(update={"protocol_hash": "0123456789abcdef"}) for trial in old.trials)
    card = old.scorecard.model_copy(update={"protocol_hash": "0123456789abcdef"})
    archive.tell(
        old.model_copy(update={"protocol_hash": "0123456789abcdef", "trials": trials, "scorecard": card}), REPORT
    )
    make()
    assert {row["name"] for row in board_of(site)["rows"]} == {BASELINE, REFERENCE, "first"}
    assert '"second"' in (site / "data" / "quick-01234567.js").read_text()
    assert "quick 01234567" in (site / "index.html").read_text()


def test_a_protocols_name_is_no_path(archive, make, site):
    archive.tell(record_of(FIRST, Status.REJECTED, protocol="../../etc/<b>"), REPORT)
    make()
    assert all(path.resolve().is_relative_to(site) for path in site.rglob("*"))
    assert not (site.parent / "etc").exists()
    assert "<b>" not in (site / "index.html").read_text().replace("<b>archer</b>", "").replace("<dd><b>", "")


def test_further_trials_of_a_proposal_count(archive, make, site):
    record = archive.tell(record_of(FIRST), REPORT)
    more = [t.model_copy(update={"seed": t.seed + 10}) for t in trials_of(record.proposal.variant, 0.7)]
    make()
    archive.tell_trials(more)
    make()
    row = next(row for row in board_of(site)["rows"] if row.get("page"))
    assert row["scores"][0][0] == 660_000
    assert row["scores"][0][3] == 6


def test_an_archive_without_proposals(archive, make, site):
    make()
    page = (site / "index.html").read_text()
    assert "No proposals under this protocol" in page
    assert "No proposals" in (site / "overview-published.html").read_text()
    assert len(board_of(site)["rows"]) == 2
    assert board_of(site)["tasks"] == list(MAD_TASKS)
    assert PROTOCOL.hash[:8] in page
    assert Archive(archive.root).dirty_paths() == []


@pytest.mark.parametrize("name", ["proposal.json", "scorecard.json", "trials.jsonl", "check.json", "report.md"])
@pytest.mark.slow
def test_a_damaged_record_is_a_row_and_a_page_that_say_so(archive, make, site, name):
    for number in range(3):
        archive.tell(record_of(f"delta_net_4layer_n{number}_in_for_loop"), REPORT)
    make()
    path = next(archive.root.glob(f"proposals/0002-*/{name}"))
    content = path.read_bytes()
    path.unlink() if name == "report.md" else path.write_text("{ not json")
    built = make()
    assert list(built.damage) == [path.parent.name]
    rows = {row["number"]: row for row in board_of(site)["rows"] if row.get("number")}
    assert {number: row["status"] for number, row in rows.items()} == {1: "SCORED", 2: "DAMAGED", 3: "SCORED"}
    assert name in rows[2]["reason"]
    page = (site / "proposals" / "0002.html").read_text()
    assert name in page
    assert "This record cannot be read" in page
    assert "1</b>" not in page
    path.write_bytes(content)
    assert make().damage == {}
    assert "This record cannot be read" not in (site / "proposals" / "0002.html").read_text()


@pytest.mark.slow
def test_many_pages_by_several_processes_are_the_same_pages(archive, make, site, monkeypatch):
    for number in range(4):
        archive.tell(record_of(f"delta_net_4layer_n{number}_in_for_loop"), REPORT)
    make()
    alone = {path.name: path.read_bytes() for path in site.glob("proposals/*.html")}
    shutil.rmtree(site)
    monkeypatch.setattr("agent.site.page.MANY", 2)
    monkeypatch.setattr("agent.site.page.BATCH", 1)
    make()
    assert {path.name: path.read_bytes() for path in site.glob("proposals/*.html")} == alone
    assert len(alone) == 4


def test_an_interrupted_build_keeps_what_is_finished(archive, make, site):
    for number in range(3):
        archive.tell(record_of(f"delta_net_4layer_n{number}_in_for_loop"), REPORT)

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(Archive(archive.root), site, interrupt)
    kept = {path: path.stat().st_mtime_ns for path in site.glob("proposals/*.html")}
    assert len(kept) == 2
    assert make().proposals == 3
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    archive.tell(record_of("delta_net_4layer_late_in_for_loop", parent="delta_net_4layer_n0_in_for_loop"), REPORT)
    with pytest.raises(KeyboardInterrupt):
        build(Archive(archive.root), site, lambda done, total: interrupt(2, total))
    assert (site / "index.html").is_file(), "the old site stays"
    assert make().damage == {}
    assert len(list(site.glob("proposals/*.html"))) == 4


def test_the_false_discovery_rate_and_fresh_seeds_are_shown(archive, make, site):
    archive.tell(record_of(FIRST, accuracy=0.9), REPORT)
    archive.tell(record_of(SECOND, accuracy=0.5), REPORT)
    first, fresh = Difference(mean=0.4, low=0.3, high=0.5, n=3), Difference(mean=0.35, low=0.3, high=0.4, n=3)
    found = Confirmation(
        variant=FIRST, against=REFERENCE, protocol="quick", protocol_hash=PROTOCOL.hash, outcome="confirmed",
        first=first, fresh=fresh, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    again = [t.model_copy(update={"seed": t.seed + 9}) for t in trials_of(variant_of(FIRST, " * 0.5"), 0.8)]
    archive.tell_confirmation(found, again)
    make()
    rows = {row["name"]: row for row in board_of(site)["rows"]}
    assert rows["first"]["q"]["parent"] < 0.1 < rows["second"]["q"]["parent"]
    assert rows["first"]["fresh"] == "confirmed"
    overview, page = (site / "index.html").read_text(), (site / "proposals" / "0001.html").read_text()
    assert "At a false discovery rate of 10 % over 2 proposals" in overview
    assert "new best, confirmed on fresh seeds" in overview
    assert "On fresh seeds" in page
    assert "−0.050" in page, "what it fell back by"
    assert "0.810" in page, "a task's score on fresh seeds"
    assert "On fresh seeds" not in (site / "proposals" / "0002.html").read_text()


def test_the_published_reports_are_on_the_calibration_page(archive, make, site):
    make()
    page = (site / f"calibration-quick-{PROTOCOL.hash[:8]}.html").read_text()
    assert "What published reports expected" in page
    assert "normalize_keys" in page or "frobenius" in page


@pytest.mark.parametrize(
    "text", ["0.123", "+0.010 ± 0.002", "within noise", "a", "", "3 of 5 (60%)", "1. x", "- y", "= z"]
)
def test_plain_text_is_rendered_as_markdown_would(text, monkeypatch):
    report = f"# {text}\n\n| a | {text} |\n| --- | ---: |\n| {text} | *b* |\n\n{text}\n"
    quick = markdown(report)
    monkeypatch.setattr("agent.site.content.text._PLAIN", re.compile("(?!)"))
    assert markdown(report) == quick


def test_the_controls_are_on_the_board_and_the_floor_on_every_page(archive, make, site):
    archive.tell(record_of(FIRST), REPORT)
    make()
    board = board_of(site)
    assert [row["name"] for row in board["below"]] == ["control_own_value", "control_zero"]
    assert not {row["name"] for row in board["below"]} & {row["name"] for row in board["rows"]}
    overview = (site / "index.html").read_text()
    assert "0.971 <small>[0.947, 0.996]</small>" in overview
    assert "The ceiling, 1.000, was reached on Context Recall, Fuzzy Recall and Noisy Recall" in overview
    page = (site / "proposals/0001.html").read_text()
    assert '<th scope="col">Floor</th>' in page
    assert "<td>0.971</td>" in page
    assert "No control was measured" not in overview


def test_a_board_of_another_version_has_no_floor(archive, make, site):
    archive.tell(record_of(FIRST, protocol_hash="0" * 16), REPORT)
    make()
    assert "<td>0.971</td>" not in (site / "proposals/0001.html").read_text()
