"""The rows of the reference in other layers: below the variants, above the controls, on every form of a board."""

import csv
import json
import re
from io import StringIO

import pytest
from rich.console import Console

from agent.analysis.boards.leaderboard import REFERENCE_WORDS, measured_leaderboard
from agent.reports.board_export import BoardFormat, write_board
from agent.site.content.board import boards
from agent.site.data import board_script
from agent.terminal.board import board_view
from archive.seeding import make_archive, shipped_references
from evaluator.protocols.built_in import PROTOCOLS, QUICK
from evaluator.protocols.protocol import Protocol
from tests.builders import make_trials
from variants.contract import REFERENCE
from variants.controls import controls
from variants.outside_archives import WIDE_REFERENCE, other_references

BELOW = [*other_references(), *controls()]


@pytest.fixture(params=[False, True], ids=["today", "another version"])
def older(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the trials of the other references that ship are of another version of `quick`."""
    changed: dict[str, str] = {"protocol_hash": "0" * 16} if request.param else {}
    trials = [trial for own in other_references().values() for trial in make_trials(own, 0.9, protocol=QUICK)]
    shipped = tuple(trial.model_copy(update=changed) for trial in trials)
    monkeypatch.setattr("archive.seeding._shipped_references", lambda protocol: shipped if protocol == "quick" else ())
    return bool(request.param)


def test_they_stand_above_the_controls_with_size_and_verdict(older: bool) -> None:
    board = measured_leaderboard("quick", None)
    assert WIDE_REFERENCE not in [row.name for row in board.rows]
    assert [row.name for row in board.below] == ([*controls()] if older else BELOW)
    assert all((words in board.sizes) is not older for words in REFERENCE_WORDS.values())
    out = StringIO()
    Console(file=out, width=200, force_terminal=False).print(board_view(board))
    assert len(re.findall(rf"^{WIDE_REFERENCE} ", out.getvalue(), re.MULTILINE)) == (0 if older else 1)
    if not older:
        for row in board.references:
            assert row.outcome("Memorize") == "better"
            assert row.size.is_larger is (row.name == WIDE_REFERENCE)
            assert row.distance is None, "it is no try at the challenge"


def test_exports_show_them_and_the_csv_has_variants_only(older: bool) -> None:
    board = measured_leaderboard("quick", None)
    for form in (BoardFormat.MARKDOWN, BoardFormat.LATEX):
        text = write_board(form, board).replace("\\_", "_")
        assert (text.count(f"{WIDE_REFERENCE}:"), text.count(WIDE_REFERENCE)) == ((0, 0) if older else (1, 2)), form
    assert WIDE_REFERENCE not in write_board(BoardFormat.CSV, board)
    assert WIDE_REFERENCE not in board.csv()


def test_the_floor_is_that_of_the_controls_alone(older: bool) -> None:
    board = measured_leaderboard("quick", None)
    best = max(row.scores["Memorize"].mean for row in board.controls)
    read = {row["name"]: row for row in csv.DictReader(StringIO(write_board(BoardFormat.CSV, board)))}[REFERENCE]
    assert float(read["Memorize over floor"]) == pytest.approx(float(read["Memorize"]) - best, abs=2e-6)


def test_the_site_has_them_below(older: bool, tmp_path) -> None:
    found = {board.label: board for board in boards(make_archive(tmp_path / "archive"), {})}
    told = json.loads(board_script(found["quick"]).split(" = ", 1)[1].rstrip(";\n"))
    assert [row["name"] for row in told["below"]] == ([*controls()] if older else BELOW)
    if not older:
        for row in told["below"][: len(REFERENCE_WORDS)]:
            assert row["title"] == REFERENCE_WORDS[row["name"]]
            assert "reference" in row["versus"]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))
def test_what_ships_is_of_today_s_code_and_protocol(protocol: Protocol) -> None:
    for name, trials in shipped_references(protocol.name).items():
        assert {trial.protocol_hash for trial in trials} == {protocol.hash}
        assert {trial.source_hash for trial in trials} == {other_references()[name].source_hash}
