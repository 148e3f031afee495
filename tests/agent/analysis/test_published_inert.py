"""Which published cells cannot differ: the file that ships, the noise that follows, and the marks on leaderboards."""

import csv
import io
import json
from pathlib import Path

import pytest

from agent.analysis.boards.board import open_board
from agent.analysis.boards.inert import (
    ANNOTATIONS,
    Annotations,
    Inert,
    inert_deviations,
    inert_legend,
    measured_inert,
    published_annotations,
    published_inert,
)
from agent.cli import run
from agent.errors import DONE
from archive.errors import ArchiveError
from archive.files import read_shipped
from archive.seeding import shipped_by_variant
from evaluator.protocols.built_in import MAD
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import BASELINE, REFERENCE

STATE_UPDATES = ("adam", "decay", "error_gated", "layernorm", "momentum", "rmsprop", "sigmoid_error_forget_gate")
KEYS = "delta_net_4layer_normalize_keys_in_for_loop"


def full(idea: str) -> str:
    return f"delta_net_4layer_{idea}_in_for_loop"


def test_the_shipped_annotations_are_of_todays_suite_and_say_what_structure_says() -> None:
    found = published_annotations()
    assert found.protocol == f"{MAD.name} {MAD.hash}", "make them again: python -m benchmarks.inert"
    assert found.settings == {task: len(plan.settings) for task, plan in MAD.tasks.items()}
    names = {full(f"{idea}_state_update") for idea in STATE_UPDATES} | {full("topk_error_update"), KEYS, BASELINE}
    assert set(found.cannot_differ("Memorize")) == names
    for task in set(MAD_TASKS) - {"Memorize"}:
        assert found.cannot_differ(task) == (BASELINE, KEYS)
    assert found.share(full("adam_state_update"), "Compress") == pytest.approx(8 / 11)
    assert (found.share(BASELINE, "Compress"), found.share(REFERENCE, "Memorize")) == (1.0, 0.0)


def test_noise_of_one_run_is_the_spread_of_the_rows_that_cannot_differ() -> None:
    board, found = open_board("published", None), published_annotations()
    own = inert_deviations(board, found)["Memorize"]
    scores = [board.scores[name]["Memorize"].mean for name in found.cannot_differ("Memorize")]
    mean = sum(scores) / len(scores)
    assert own.freedom == len(scores) - 1 == 9
    assert own.deviation == pytest.approx((sum((x - mean) ** 2 for x in scores) / 9) ** 0.5)
    nobody = Annotations(protocol="x", baseline=BASELINE, settings=found.settings, inert={})
    assert inert_deviations(board, nobody) == {}, "one row has no spread"


def test_cells_of_the_published_table() -> None:
    found = published_annotations()
    assert published_inert(found, BASELINE) == {}
    assert published_inert(found, REFERENCE) == {}
    assert published_inert(found, KEYS) == {task: Inert(BASELINE) for task in MAD_TASKS}
    adam = published_inert(found, full("adam_state_update"))
    assert {task: cell.mark for task, cell in adam.items()} == {"Compress": "(=)", "Memorize": "="}


def test_cells_of_a_measured_table_are_inherited_ones_and_what_a_seed_cannot_reach() -> None:
    trials = shipped_by_variant("quick")
    name = full("decay_state_update")
    assert measured_inert(name, trials[name], "quick") == {"Memorize": Inert(BASELINE)}
    assert measured_inert(REFERENCE, trials[REFERENCE], "quick") == {}
    child = [
        t.model_copy(
            update={"variant": "child", "inherited_from": name if t.task == "Memorize" or not t.seed else None}
        )
        for t in trials[name]
    ]
    cells = measured_inert("child", child, "quick")
    assert cells == {"Memorize": Inert(name, inherited=True)}, "one inherited seed of three is not the whole score"
    assert "its parent (whose score it has)" in inert_legend(cells.values())


def test_no_legend_without_marks_and_only_the_marks_that_occur() -> None:
    assert inert_legend([]) == ""
    assert "(=)" not in inert_legend([Inert(BASELINE)])
    assert inert_legend([Inert(BASELINE, 0.5)]).startswith("(=)")


@pytest.mark.parametrize(("content", "problem"), [(None, "No such file"), ("{}", "protocol: Field required")])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path, content: str | None, problem: str) -> None:
    path = tmp_path / ANNOTATIONS.name
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArchiveError, match=f"{path}.*{problem}.*do this"):
        read_shipped(path, Annotations, "do this")


def test_the_published_leaderboard_is_marked_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["leaderboard", "--protocol", "published", "--archive", str(tmp_path / "none")]
    assert run([*command, "--no-pager"]) == DONE
    shown = capsys.readouterr().out
    assert "0.384 =" in shown
    assert "= cannot differ from delta_net_4layer" in shown
    assert run([*command, "--json"]) == DONE
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows[KEYS]["inert"]["Fuzzy Recall"] == {"of": BASELINE, "share": 1.0, "inherited": False}
    assert rows[BASELINE]["inert"] == {}
    assert run([*command, "--format", "csv"]) == DONE
    table = {row["name"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert table[KEYS]["Memorize cannot differ from"] == BASELINE
    assert table[REFERENCE]["Memorize cannot differ from"] == ""
    for form, mark in (("latex", r"0.384 $=$"), ("markdown", "0.384 =")):
        assert run([*command, "--format", form]) == DONE
        text = capsys.readouterr().out
        assert mark in text
        assert "cannot differ from" in text.splitlines()[0] + text.splitlines()[3]
