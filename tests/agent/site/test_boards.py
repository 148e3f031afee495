"""What the pages of a board count: the head of the overview, the front, the calibration."""

import itertools
import json
from pathlib import Path

import pytest

from agent.cli import run
from agent.errors import DONE
from agent.site.content.board import SiteBoard, SiteGap, boards
from agent.site.content.facts import facts
from agent.site.content.front import front_rows, nearest
from agent.site.content.predicted import calibration
from agent.site.content.row import Row, proposal_row, whole
from agent.site.data import board_script
from evaluator.outcomes import Finding, Status
from evaluator.protocols.built_in import QUICK
from evaluator.tasks.registry import MAD_TASKS
from tests.agent.site.conftest import archive_of_references, record_of, trials_of, variant_of
from tests.builders import make_check
from variants.contract import BASELINE, short_name


def row_of(number: int, means: tuple[int, ...], **changes: object) -> Row:
    scores = tuple((mean, mean, mean, 3) for mean in means)
    mean = round(sum(means) / 6)
    known = {"kind": "proposal", "name": f"v{number}", "number": number, "page": f"{number}.html", "status": "SCORED",
             "scores": scores, "whole": (mean, mean, mean, 3)}  # fmt: skip
    return Row(**(known | changes))


def against(*outcomes: str):
    return tuple((outcome, 10, -20, 40, 3) for outcome in outcomes)


def test_the_head_counts_what_is_beyond_noise():
    better = against("better", *["indistinguishable"] * 4, "inert")
    worse = against(*["worse"] * 6)
    rows = (
        row_of(1, (5000,) * 6, versus={"reference": better}, cpu=100.0),
        row_of(2, (4000,) * 6, versus={"reference": worse}, cpu=300.0),
        row_of(3, (6000,) * 6, versus={"reference": against(*["better"] * 6)}, cpu=200.0),
        Row(kind="proposal", name="r", number=4, status="REJECTED"),
    )
    found = facts(SiteBoard("quick", "abc", rows))
    assert found.statuses == {"SCORED": 3, "REJECTED": 1}
    assert (found.better, found.compared) == (7, 17), "what cannot differ is no comparison"
    assert found.by_chance == pytest.approx(0.025 * 17)
    assert [row.number for row in found.all_tasks] == [3]
    assert [row.number for row in found.steps] == [1, 3]
    assert [row.number for row in found.standouts] == [3, 1]
    assert (found.spent.cpu, found.spent.each) == (600.0, 150.0)
    assert found.tasks[0].tally == {"better": 2, "worse": 1}
    assert found.tasks[0].best.number == 3


def test_one_run_each_is_no_comparison():
    row = row_of(1, (5000,) * 6, versus={"reference": (("indistinguishable", 100, 100, 100, 1),) * 6})
    assert facts(SiteBoard("published", "", (row,))).compared == 0


def test_the_front_is_who_nobody_dominates():
    values = [(a, b, 5 - (a + b) // 2, a * b % 5, 5, 5) for a, b in itertools.product(range(5), repeat=2)]
    rows = [row_of(n, tuple(100 * x for x in value)) for n, value in enumerate(values)]

    def dominated(row: Row) -> bool:
        ours = [score[0] for score in row.scores]
        others = [[score[0] for score in other.scores] for other in rows]
        return any(all(x >= y for x, y in zip(o, ours, strict=True)) and o != ours for o in others)

    expected = {row.name for row in rows if not dominated(row)}
    assert 0 < len(expected) < len(rows)
    assert {row.name for row in front_rows(SiteBoard("quick", "abc", tuple(rows)))} == expected
    assert front_rows(SiteBoard("quick", "abc", ())) == []


def test_nearest_is_nearest_to_the_challenge():
    above_on_five = tuple(SiteGap(d, "▲" if d > 10 else "") for d in (20, 10, 10, 10, 10, -500))
    above_on_one = tuple(SiteGap(d, "") for d in (900, -1, -1, -1, -1, -1))
    rows = tuple(row_of(n, (5000,) * 6).model_copy(update={"distance": float(n)}) for n in range(2))
    found = nearest(SiteBoard("quick", "abc", rows, {"v0": above_on_one, "v1": above_on_five}))
    assert (found.row.number, found.above, found.sure) == (0, 1, 0)
    assert nearest(SiteBoard("quick", "abc", ())) is None


def test_calibration_is_that_of_the_records():
    rows = tuple(
        proposal_row(record_of(f"delta_net_4layer_a{n}_in_for_loop", accuracy=a)) for n, a in enumerate((0.6, 0.7))
    )
    found = calibration(SiteBoard("quick", "abc", rows))
    assert (found.whole.n, found.whole.inside, found.whole.intervals) == (12, 6, 12)
    assert found.whole.error == pytest.approx((0.06 + 0.16) / 2)
    assert set(found.tasks) == set(MAD_TASKS)
    assert set(found.proposers) == {"openai, some-model"}
    rejected = proposal_row(record_of("delta_net_4layer_r_in_for_loop", Status.REJECTED))
    assert calibration(SiteBoard("quick", "abc", (rejected,))) is None


def test_the_mean_of_six_needs_all_six():
    trials = trials_of(variant_of("delta_net_4layer_a_in_for_loop"), 0.5)
    mean, low, high, n = whole(trials, MAD_TASKS)
    assert (mean, n) == (510_000, 3)
    assert (low, high) == (485_159, 534_841), "Student's t with 2 degrees of freedom: 0.01 / sqrt(3) * 4.303"
    assert whole([trial for trial in trials if trial.task != "Memorize"], MAD_TASKS) is None
    assert whole([trial for trial in trials if trial.seed == 0], MAD_TASKS) == (500_000, 500_000, 500_000, 1)


def test_who_is_surely_on_the_front_is_the_same_on_terminal_and_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    archive = archive_of_references(tmp_path / "archive")
    archive.tell(record_of("delta_net_4layer_better_in_for_loop", accuracy=0.9), "")
    assert run(["leaderboard", "--front", "--json", "--archive", str(archive.root)]) == DONE
    rows = json.loads(capsys.readouterr().out)["rows"]
    surely = {short_name(row["name"]) for row in rows if row["standing"] == "surely front"}
    assert surely == {"better"}
    assert run(["report", "--quiet", "--archive", str(archive.root), "--out", str(tmp_path / "site")]) == DONE
    (page,) = (tmp_path / "site").glob("front-quick-*.html")
    text = page.read_text(encoding="utf-8")
    assert "1 of them is surely on the front" in text
    assert text.count('<span class="note">surely front</span>') == 1


def test_rows_have_their_sizes(tmp_path: Path):
    archive = archive_of_references(tmp_path / "archive")
    larger = Finding(check="state", status="warn", message="", evidence={"numbers": 8192})
    own = proposal_row(record_of("delta_net_4layer_a_in_for_loop", check=make_check(larger)))
    (board,) = [each for each in boards(archive, {("quick", QUICK.hash): [own]}) if each.protocol == "quick"]
    rows = {row["name"]: row for row in json.loads(board_script(board).split(" = ")[1].rstrip(";\n"))["rows"]}
    assert [rows["a"][key] for key in ("params", "state", "times", "larger")] == ["17.3k", "2×", 2.0, 1]
    assert (rows[BASELINE]["state"], "larger" in rows[BASELINE]) == ("1×", False)
    assert [row.size.state_text for row in board.controls] == ["0", "0"]
