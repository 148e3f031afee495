"""Leaderboards as other people write them: what is understood, what is said of it, and what is refused."""

import math

import pytest

from archive.errors import LeaderboardError
from archive.tables.foreign_csv import parse_foreign_leaderboard
from archive.tables.leaderboard_csv import format_leaderboard, measured_rows, parse_leaderboard
from evaluator.tasks.registry import MAD_TASKS

OURS = ",".join(MAD_TASKS)
MAD_LAB = "compression,in-context-recall,fuzzy-in-context-recall,memorization,noisy-in-context-recall,selective-copying"
SCORES = dict(zip(MAD_TASKS, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True))
FRACTIONS, PERCENT = "0.1,0.2,0.3,0.4,0.5,0.6", "10,20,30,40,50,60"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"model,{OURS}\nx,{FRACTIONS}", ()),
        (f",model,{OURS}\n0,x,{FRACTIONS}", ("column 1 (no header) is an index", "column 2 (model) holds the names")),
        (f"#,architecture,{OURS}\n1,x,{FRACTIONS}", ("column 1 (#) is an index",)),
        (f"who,no,model,{OURS}\nme,7,x,{FRACTIONS}", ("column 2 (no) is an index", "column 3 (model)", "ignored: who")),
        (f"{OURS},name\n{FRACTIONS},x", ("column 7 (name) holds the names",)),
        (f"{OURS}\nx,{FRACTIONS}", ()),
        (f"model,{MAD_LAB}\nx,{FRACTIONS}", ("'in-context-recall' is Context Recall", "'compression' is Compress")),
        (f"model,{MAD_LAB.replace('-', '_')}\nx,{FRACTIONS}", ("'selective_copying' is Selective Copy",)),
        (f"model,{MAD_LAB.title()}\nx,{FRACTIONS}", ("'Memorization' is Memorize",)),
        (f"model,{OURS}\nx,{FRACTIONS}".replace(",", ";"), ("separated by semicolons",)),
        (f"model,{OURS}\nx,{FRACTIONS}".replace(",", "\t"), ("separated by tabs",)),
        (f"sep=;\nmodel,{OURS}\nx,{FRACTIONS}".replace(",", ";"), ("separated by semicolons",)),
        (f"model,{OURS}\nx,{FRACTIONS}".replace(",", ";").replace(".", ","), ("a comma is the decimal point",)),
        (f"model,{OURS}\nx,{PERCENT}", ("all accuracies in percent",)),
        (f"model,{OURS}\nx,{PERCENT.replace(',', '%,')}%", ("all accuracies in percent",)),
        (f"model,{OURS.replace('Memorize', 'Memorize (%)')}\nx,0.1,0.2,0.3,40,0.5,0.6", ("Memorize in percent",)),
        (f"model,{OURS},Average\nx,{FRACTIONS},0.35", ("ignored: Average",)),
        (f"model,{OURS}\nx,{FRACTIONS.replace('0.1', '0.1 ± 0.02')}", ("what stands beside a number",)),
        (f"model,{OURS}\nx,{FRACTIONS.replace('0.1', '0.1 ± 2%')}", ("what stands beside a number",)),
        (f"model,{OURS}\nx,{FRACTIONS.replace('0.2', '0.2 (3%)')}", ("what stands beside a number",)),
        (f"model,{OURS}\nx,{FRACTIONS}\nempty,,,,,,", ("without any score, left out: empty",)),
    ],
)
def test_what_was_meant_is_read_and_said(text: str, says: tuple[str, ...]):
    found = parse_foreign_leaderboard(text, "t")
    row = measured_rows(found.table)
    assert list(row) == ["x"]
    assert row["x"] == pytest.approx(SCORES)
    told = "\n".join(found.understood)
    assert all(sentence in told for sentence in says)
    assert bool(told) == bool(says)


@pytest.mark.parametrize("empty", ["", "nan", "NaN", "N/A", "-", "–"])
def test_a_row_counts_for_the_tasks_that_it_has(empty: str):
    found = parse_foreign_leaderboard(f"model,{OURS}\nx,0.1,0.2,{empty},0.4,0.5,0.6\ny,{FRACTIONS}", "t")
    rows = measured_rows(found.table)
    assert set(rows["x"]) == set(MAD_TASKS) - {"Fuzzy Recall"}
    assert set(rows["y"]) == set(MAD_TASKS)
    assert "rows that lack a task, which count for the tasks they have: 1" in found.understood
    written = parse_leaderboard(format_leaderboard(found.table), "t")
    assert math.isnan(written.loc["x", "Fuzzy Recall"])
    assert measured_rows(written) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f",{OURS}\n0,{FRACTIONS}\n1,{FRACTIONS}", "no column of names: the first column holds numbers (0, 1, ...)"),
        (f"{OURS}\n{FRACTIONS}", "no column of names: none is left"),
        (f"model,{OURS}\nx,{FRACTIONS}\n2,{FRACTIONS}", "2 is no name of a variant"),
        (f"model,{OURS}\nx,{FRACTIONS}\nx,{FRACTIONS}", "x occurs more than once"),
        (f"model,{OURS}\n,{FRACTIONS}\nx,{FRACTIONS}", "row 1 has no name"),
        (f"model,{OURS},compression\nx,{FRACTIONS},0.1", "Compress occurs twice"),
        (f"model,{OURS}\nx,{FRACTIONS.replace('0.4', 'high')}", "x, Memorize: 'high' is not a number"),
        (f"model,{OURS}\nx,{FRACTIONS.replace('0.4', '41')}", "'41', read as a share of 1, is no accuracy"),
        (f"model,{OURS}\nx,{PERCENT.replace('40', '400')}", "'400', read as percent, is no accuracy"),
        (f"model,{OURS}\nx,{FRACTIONS},0.7", "8 cells under a header of 7"),
        (f"model,{OURS}\nx,,,,,,", "no row has a score"),
        (f"model,{OURS.removesuffix(',Selective Copy')}\nx,0,0,0,0,0", "no column for Selective Copy"),
        (f"model,{OURS}", "no rows"),
        ("", "no column for Compress"),
    ],
)
def test_what_can_be_read_in_two_ways_or_in_none_is_refused_in_one_line(text: str, message: str):
    with pytest.raises(LeaderboardError, match="t: ") as caught:
        parse_foreign_leaderboard(text, "t")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
