"""What leaves archer: patches that git applies and that compute the same, tables that other programs read."""

import csv
import importlib.util
import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agent.analysis.boards.leaderboard import BoardRow, Leaderboard, measured_leaderboard
from agent.cli import run
from agent.errors import USAGE, UserError
from agent.reports.board_export import BoardFormat, write_board
from agent.reports.patch import replacement_patch
from archive.tables.leaderboard_csv import parse_leaderboard
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_score, make_scores
from variants.contract import BASELINE, REFERENCE, Variant
from variants.seeds import seed_variants

NAIVE = """import torch


def delta_rule_recurrence(q):
    return q


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    return None


def delta_rule_parallel(q):
    return delta_rule_chunkwise(q, q, q, q)
"""


def kernel(path: Path) -> object:
    spec = importlib.util.spec_from_file_location("exported", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outputs(module: object) -> torch.Tensor:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 40, 8, dtype=torch.float64)
    beta = torch.rand(1, 2, 40, dtype=torch.float64)
    out: torch.Tensor = module.delta_rule_chunkwise(q, k, v, beta, 16)[0]  # type: ignore[attr-defined]
    return out


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("against", [True, False])
def test_patch_applies_and_computes_what_the_variant_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, last: bool, against: bool
):
    name = "delta_net_4layer_topk_error_update_in_for_loop"
    file = tmp_path / "fla" / "ops" / "delta_rule" / "naive.py"
    file.parent.mkdir(parents=True)
    text = NAIVE.replace("\n", ending)
    file.write_bytes((text if last else text.rstrip()).encode())
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    options = ["--against", str(file)] if against else []
    assert run(["export", name, "--patch", "--out", "1.patch", "--quiet", *options]) == 0
    applied = subprocess.run(["git", "apply", "1.patch"], capture_output=True, text=True, check=False)
    assert applied.returncode == 0, applied.stderr
    made = file if against else file.with_name("naive_topk_error_update.py")
    (tmp_path / "seed.py").write_text(seed_variants()[name].source)
    assert torch.equal(outputs(kernel(made)), outputs(kernel(tmp_path / "seed.py")))
    if against:
        content = made.read_bytes().decode()
        assert "def delta_rule_parallel" in content
        assert "def delta_rule_recurrence" in content
        assert content.count("import torch" + ending) == 1


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("x = 1\n", "no function"),
        ("def f(:\n", "no Python"),
        (NAIVE + "\n_helper = 1\n", "already uses the name _helper"),
    ],
)
def test_file_that_cannot_take_the_kernel_is_refused(target: str, says: str):
    source = seed_variants()[BASELINE].source + "\n\ndef _helper(x):\n    return x\n"
    with pytest.raises(UserError, match=says):
        replacement_patch(Variant(name="x", source=source), "naive.py", target)


def test_a_file_that_is_there_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine.py"
    mine.write_text("# mine\n")
    assert run(["export", MOMENTUM, "--out", str(mine)]) == USAGE
    assert (mine.read_text(), "is there already" in capsys.readouterr().err) == ("# mine\n", True)


ROWS = [
    BoardRow("delta_net_4layer_a%b_in_for_loop", MAD_TASKS, make_scores(0.5, half=0.1)),
    BoardRow("z&|<x>", MAD_TASKS, {"Memorize": make_score(0.75, n=1)}),
]


MOMENTUM = "delta_net_4layer_momentum_state_update_in_for_loop"


def board(title: str, controls: tuple[BoardRow, ...] = ()) -> Leaderboard:
    return Leaderboard(title, MAD_TASKS, tuple(ROWS), "", controls)


def test_the_controls_stand_below_the_rows_and_in_csv_as_the_floor():
    low = BoardRow("control_x", MAD_TASKS, make_scores(0.3, half=0.1))
    own = replace(ROWS[0], at_floor=frozenset({"Memorize"}))
    shown = Leaderboard("title", MAD_TASKS, (own,), "", (low, replace(low, name="control_y")), "where a score begins")
    markdown = write_board(BoardFormat.MARKDOWN, shown)
    assert [line.split("|")[1].strip() for line in markdown.splitlines()[-3:]] == [r"a%b", r"control\_x", r"control\_y"]
    assert "where a score begins" in markdown
    assert markdown.count("°") == 1
    latex = write_board(BoardFormat.LATEX, shown)
    assert latex.count(r"\midrule") == 2
    assert latex.index(r"control\_x") > latex.rindex(r"\midrule")
    (read,) = csv.DictReader(io.StringIO(write_board(BoardFormat.CSV, shown)))
    assert (read["Memorize over floor"], read["Memorize at floor"], read["Compress at floor"]) == ("0.2", "yes", "")


def test_latex_escapes_and_marks_the_best():
    text = write_board(BoardFormat.LATEX, board("50 %_x"))
    assert r"\caption{50 \%\_x}" in text
    assert r"\texttt{a\%b}" in text
    assert r"\texttt{z\&\textbar{}\textless{}x\textgreater{}}" in text
    assert text.count(r"\textbf{0.750}") == 1
    assert text.count(r"\textbf{0.500} [0.400, 0.600]") == 5
    assert {line.count("&") - line.count(r"\&") for line in text.splitlines() if line.endswith(r"\\")} == {10}


def test_markdown_is_a_table_of_eleven_columns():
    lines = write_board(BoardFormat.MARKDOWN, board("title")).splitlines()
    assert "**0.750**" in lines[-1]
    assert r"z&\|\<x\>" in lines[-1]
    assert {line.replace(r"\|", "").count("|") for line in lines[2:]} == {12}


def test_what_was_not_measured_has_no_n_and_what_needs_no_memory_is_best_at_nothing():
    low = replace(ROWS[1], at_floor=frozenset({"Memorize"}))
    shown = Leaderboard("title", MAD_TASKS, (ROWS[0], low), "")
    row = write_board(BoardFormat.MARKDOWN, shown).splitlines()[-1]
    assert row.split(" | ")[-3] == "–"
    assert "**" not in row
    assert "0.750 $^{\\circ}$ & -- & -- & -- &" in write_board(BoardFormat.LATEX, shown)


def test_csv_is_read_back_by_any_reader_and_by_archer():
    board = measured_leaderboard("quick", None)
    text = write_board(BoardFormat.CSV, board)
    read = list(csv.DictReader(io.StringIO(text)))
    assert read[0]["name"] == board.rows[0].name
    assert {row["Memorize n"] for row in read} == {"3"}
    assert {row["name"]: row["state times baseline"] for row in read}[MOMENTUM] == "2.0"
    assert {row["mixer parameters"] for row in read if row["name"] != REFERENCE} == {"17280"}
    assert all(row["Memorize verdict"] for row in read if row["name"] != REFERENCE)
    both = [parse_leaderboard(form, "x").sort_index() for form in (text, board.csv())]
    assert both[0].equals(both[1])
