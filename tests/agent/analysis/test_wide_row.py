"""The row of the wide reference: below the variants, above the controls, on every form of a leaderboard."""

import csv
import json
import re
from io import StringIO

import pytest
from rich.console import Console

from agent.analysis.boards.leaderboard import WIDE_WORDS, measured_leaderboard
from agent.reports.board_export import BoardFormat, write_board
from agent.site.content.board import boards
from agent.site.data import board_script
from agent.terminal.board import board_view
from archive.seeding import make_archive, shipped_wide
from evaluator.protocols.built_in import PROTOCOLS, QUICK
from evaluator.protocols.protocol import Protocol
from tests.builders import make_trials
from variants.contract import REFERENCE
from variants.controls import controls
from variants.outside_archives import WIDE_REFERENCE, wide_reference

BELOW = [WIDE_REFERENCE, *controls()]


@pytest.fixture(params=[False, True], ids=["today", "another version"])
def older(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the trials of the wide reference that ship are of another version of `quick`."""
    changed: dict[str, str] = {"protocol_hash": "0" * 16} if request.param else {}
    trials = make_trials(wide_reference(), 0.9, protocol=QUICK)
    shipped = tuple(trial.model_copy(update=changed) for trial in trials)
    monkeypatch.setattr("archive.seeding._shipped_wide", lambda protocol: shipped if protocol == "quick" else ())
    return bool(request.param)


def test_it_stands_above_the_controls_with_its_size_and_its_verdict(older: bool) -> None:
    board = measured_leaderboard("quick", None)
    assert WIDE_REFERENCE not in [row.name for row in board.rows]
    assert [row.name for row in board.below] == (BELOW[1:] if older else BELOW)
    assert (WIDE_WORDS in board.sizes) is not older
    out = StringIO()
    Console(file=out, width=200, force_terminal=False).print(board_view(board))
    assert len(re.findall(rf"^{WIDE_REFERENCE} ", out.getvalue(), re.MULTILINE)) == (0 if older else 1)
    if not older:
        (row,) = board.wide
        assert row.outcome("Memorize") == "better"
        assert row.size.is_larger
        assert row.distance is None, "it is no try at the challenge"


def test_exports_show_it_and_the_csv_has_variants_only(older: bool) -> None:
    board = measured_leaderboard("quick", None)
    for form in (BoardFormat.MARKDOWN, BoardFormat.LATEX):
        text = write_board(form, board).replace("\\_", "_")
        assert (text.count(f"{WIDE_REFERENCE}:"), text.count(WIDE_REFERENCE)) == ((0, 0) if older else (1, 2)), form
    assert WIDE_REFERENCE not in write_board(BoardFormat.CSV, board)
    assert WIDE_REFERENCE not in board.csv


def test_the_floor_is_that_of_the_controls_alone(older: bool) -> None:
    board = measured_leaderboard("quick", None)
    best = max(row.scores["Memorize"].mean for row in board.controls)
    read = {row["name"]: row for row in csv.DictReader(StringIO(write_board(BoardFormat.CSV, board)))}[REFERENCE]
    assert float(read["Memorize over floor"]) == pytest.approx(float(read["Memorize"]) - best, abs=2e-6)


def test_the_site_has_it_below(older: bool, tmp_path) -> None:
    found = {board.label: board for board in boards(make_archive(tmp_path / "archive"), {})}
    told = json.loads(board_script(found["quick"]).split(" = ", 1)[1].rstrip(";\n"))
    assert [row["name"] for row in told["below"]] == (BELOW[1:] if older else BELOW)
    if not older:
        assert told["below"][0]["title"] == WIDE_WORDS
        assert "reference" in told["below"][0]["versus"]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_what_ships_is_of_today_s_code_and_protocol(protocol: Protocol) -> None:
    for name, trials in shipped_wide(protocol.name).items():
        assert name == WIDE_REFERENCE
        assert {trial.protocol_hash for trial in trials} == {protocol.hash}
        assert {trial.source_hash for trial in trials} == {wide_reference().source_hash}
