"""What reaches a terminal: nothing hostile, nothing cut, long answers through the user's pager."""

import io
import threading
from pathlib import Path

import pytest
from rich.text import Text

from agent.cli import run
from agent.terminal.console import Fitting, Grid, SafeConsole, clean, say, sparkline, strip
from agent.terminal.progress import Heartbeat, Progress, ProgressLine
from agent.terminal.view import finding_lines, score_text, verdict_table
from archive.store import Archive
from evaluator.outcomes import CurvePoint, Finding, Score, Status
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import (
    SOURCE,
    make_check,
    make_comparison,
    make_provenance,
    make_record,
    make_trials,
    make_variant,
    make_verdict,
)
from tests.waiting import wait_until

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m[red]no[/red] [/] :bomb: \u202eabc\r"


def console(**changes: object) -> SafeConsole:
    return SafeConsole(file=io.StringIO(), **({"width": 80, "emoji": False} | changes))  # type: ignore[arg-type]


def printed(where: SafeConsole) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


@pytest.fixture
def hostile(archive: Archive) -> Archive:
    """A record with HOSTILE in every field that takes free text, and in its code."""
    curve = (CurvePoint(step=1, loss=2.0), CurvePoint(step=2, loss=1.0))
    variant = make_variant(source=f"{SOURCE}# {HOSTILE}\n")
    finding = Finding(check="crash", status="fail", message=HOSTILE, evidence={HOSTILE: HOSTILE})
    record = make_record(
        source=variant.source,
        title=HOSTILE,
        motivation=HOSTILE,
        insights=(HOSTILE,),
        provenance=make_provenance(HOSTILE, model=HOSTILE),
        trials=make_trials(variant, 0.6, curve=curve),
        reason=HOSTILE,
        check=make_check(finding, name="x"),
    )
    archive.tell(record, f"# {HOSTILE}\n\n[link](http://x/{HOSTILE})\n")
    return archive


@pytest.mark.parametrize("command", [["show", "1"], ["list"], ["diff", "1", "--full"], ["leaderboard"]])
@pytest.mark.parametrize("columns", [None, 60, 200])
def test_no_text_of_a_record_is_an_escape_or_markup(
    hostile: Archive,
    command: list[str],
    columns: int | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    if columns:
        monkeypatch.setattr(
            "agent.terminal.speech.SafeConsole",
            lambda **options: SafeConsole(
                **(options | {"width": columns, "force_terminal": True, "color_system": None})
            ),
        )
    assert run([*command, "--archive", str(hostile.root), "--no-pager"]) == 0
    out = capsys.readouterr().out
    assert "\x1b]" not in out
    assert not set(out) & set("\x07\x9b\r\u202e")
    assert "\x1b[2J" not in out
    if command[0] == "diff":
        assert "[red]no[/red] [/] :bomb:" in " ".join(out.split())


@pytest.mark.parametrize(
    "command",
    [
        ["leaderboard", "--front", "--protocol", "published"],
        ["calibration"],
        ["protocol", "show", "quick", "--no-cost"],
    ],
)
def test_a_narrow_terminal_cuts_no_cell(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "agent.terminal.speech.SafeConsole",
        lambda **options: SafeConsole(**(options | {"width": 60, "color_system": None})),
    )
    assert run([*command, "--archive", str(tmp_path / "none")]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 60


def test_show_says_of_when_its_verdicts_are(archive: Archive, capsys: pytest.CaptureFixture[str]):
    archive.tell(make_record(verdicts=(make_verdict(make_comparison("better")),)), "r")
    assert run(["show", "1", "--archive", str(archive.root)]) == 0
    assert "as judged when it was archived" in capsys.readouterr().out


def test_message_of_an_error_cannot_reach_the_terminal(
    archive: Archive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert run(["show", "\x1b[2J", "--archive", str(archive.root)]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_evidence_is_said_as_people_say_it():
    evidence = {
        "shape": [2, 100, 16],
        "inputs": ["q", "k"],
        "grad": True,
        "line": None,
        "max_abs": 0.060749770848221786,
    }
    (line,) = finding_lines(Finding(check="prefix", status="fail", message="m", evidence=evidence))
    assert "(shape 2 x 100 x 16, inputs q and k, grad yes, line none, max_abs 0.0607)" in line
    nested = {"violations": [{"line": 3, "what": "imports os"}, {"line": 4, "what": "opens a file"}]}
    (line,) = finding_lines(Finding(check="fence", status="fail", message="m", evidence=nested), verbose=True)
    assert "violations line 3; what imports os and line 4; what opens a file" in line


def test_clean_keeps_lines_and_widths():
    assert clean("a\tb\nc – é") == "a\tb\nc – é"
    assert clean("\x1b[1m\x00\x7f\x85\u2066") == "␛[1m␀␡��"
    assert clean("a\r\nb") == "a\nb"


def test_grid_is_aligned_and_never_cut():
    grid = Grid(("name", "n"), [("x" * 300, "7"), (("é", "red"), "12")], frozenset({1}))
    out = console(width=1000)
    out.print(grid)
    lines = printed(out).splitlines()
    assert [line.rstrip()[-2:] for line in lines] == [" n", " 7", "12"]
    assert {len(line) for line in lines} == {grid.width}


def test_narrow_terminal_gets_the_other_rendering():
    both = Fitting(((70, lambda: "wide"), (0, lambda: "narrow")))
    for width, wanted in ((70, "wide"), (69, "narrow")):
        out = console(width=width)
        out.print(both)
        assert printed(out).strip() == wanted


@pytest.mark.parametrize(("lines", "paged"), [(3, False), (30, True)])
def test_what_is_longer_than_the_screen_goes_to_the_pager(
    lines: int, paged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PAGER", f"sh -c 'cat > {tmp_path}/paged'")
    terminal = console(force_terminal=True, height=10, _environ={"TERM": "xterm"})
    say(terminal, [Text("line")] * lines, pager=True)
    assert (tmp_path / "paged").exists() == paged
    shown = (tmp_path / "paged").read_text() if paged else capsys.readouterr().out
    assert shown.count("line") == lines


@pytest.mark.parametrize("pager", ["", "cat", "no-such-pager-anywhere", "'"])
def test_without_a_pager_everything_is_printed(
    pager: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PAGER", pager)
    terminal = console(force_terminal=True, height=10, _environ={"TERM": "xterm"})
    say(terminal, [Text("line")] * 30, pager=True)
    assert (printed(terminal) + capsys.readouterr().out).count("line") == 30


def test_no_colour_when_the_user_asks_for_none():
    out = console(force_terminal=True, _environ={"TERM": "xterm-256color", "NO_COLOR": "1"})
    out.print(Grid(("a",), [(("x", "red"),)]))
    assert "\x1b[31m" not in printed(out)


def test_sparkline_shows_the_shape_and_gaps_where_nothing_is_finite():
    assert sparkline([8, 7, 6, 5, 4, 3, 2, 1]) == "█▇▆▅▄▃▂▁"
    assert len(sparkline([float(x) for x in range(1000)])) == 20
    assert sparkline([1.0, float("nan"), float("inf"), 2.0]) == "▁  █"
    assert sparkline([]) == sparkline([float("nan")]) == ""
    assert sparkline([3.0, 3.0]) == "▁▁"


def test_strip_draws_both_intervals_and_both_means():
    assert strip([(0.0, 0.2, 0.4, "╌", "○"), (0.5, 0.7, 0.95, "━", "●")], 10) == "╌╌○╌╌━━●━━"
    assert strip([(-1.0, 5.0, 9.0, "━", "●")], 4) == "━━━●"


def test_long_work_gives_a_sign_of_life_where_there_is_no_terminal():
    out = console(width=200)
    with Progress(out, 2, every=0.01) as progress:
        progress.update(0, stage="training", name="x", detail="Memorize, seed 1", done=0.5)
        progress.score(0, "Compress", 0.25)
        progress.aside("confirming y: Compress, seed 9: 40%")
        for told in ("training: 50% Memorize, seed 1  Compress 0.25", "confirming y: Compress, seed 9: 40%", "so far"):
            wait_until(lambda told=told: told in printed(out), f"a sign of life with {told!r}")
    assert "[1/2] training: 50% Memorize, seed 1  Compress 0.25" in printed(out)
    assert ProgressLine().stage == "waiting"


def test_heartbeat_is_silent_on_a_terminal_and_when_asked_to_be():
    for quiet in (console(quiet=True), console(force_terminal=True)):
        with Heartbeat(quiet, lambda: ["x"], every=0.0) as heart:
            assert heart is not None
            assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
        assert printed(quiet) == ""


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ([], [1, 2, 3]),
        (["--status", "REJECTED"], [2]),
        (["--parent", "third"], []),
        (["--parent", "delta_net_4layer", "--limit", "2"], [1, 2]),
        (["--proposer", "evolve", "--reverse"], [3, 2, 1]),
        (["--sort", "mean"], [3, 1, 2]),
        (["--sort", "name"], [1, 2, 3]),
    ],
)
def test_list_filters_and_sorts(
    archive: Archive,
    arguments: list[str],
    ids: list[int],
    capsys: pytest.CaptureFixture[str],
):
    archive.tell(make_record(name="a"), "r")
    archive.tell(make_record(Status.REJECTED, name="b"), "r")
    archive.tell(make_record(name="c", accuracy=0.9), "r")
    assert run(["list", "--archive", str(archive.root), *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines if line.split()[0].isdigit()] == ids


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.4), (0.1, 0.4)])
def test_an_interval_that_is_cut_off_at_an_end_looks_no_narrower(low: float, high: float):
    assert score_text(Score(mean=0.15, low=low, high=high, n=3)) == "0.150 ±0.250"
    assert score_text(Score(mean=0.85, low=1 - high, high=1 - low, n=3)) == "0.850 ±0.250"


def test_a_difference_of_one_seed_is_shown_without_an_interval():
    one, three = (make_comparison("indistinguishable", n=n) for n in (1, 3))
    verdict = make_verdict({"Memorize": one, "Compress": three})
    where = console(width=120)
    where.print(verdict_table("a", {}, [verdict], MAD_TASKS, {}, {}))
    lines = printed(where).splitlines()
    assert all(("[" in line) == ("Compress" in line) for line in lines if "+0.100" in line)
    assert sum("+0.100" in line for line in lines) == 2
