"""The report of a proposal: what was known, what was changed and why, what was expected, and what came of it."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from agent.analysis.boards.board import Board, measured_board, published_board
from agent.analysis.boards.leaderboard_facts import ends, leaderboard_facts
from agent.analysis.boards.sizes import record_size, sizes_of
from agent.analysis.predictions.calibration import CONFIDENCE, NEGLIGIBLE, Sign, direction, sign_of
from agent.analysis.snapshot import ArchiveSnapshot
from agent.reports.claims.contradictions import contradictions
from agent.reports.tables import (
    code,
    expected_rows,
    measured_rows,
    standing_rows,
    verdict_rows,
)
from agent.templates import templates
from agent.words import NO_EFFECT, TOLD, counted, listed, number, verdict_words
from archive.records.record import Record
from evaluator.outcomes import Finding, Status, Verdict
from evaluator.protocols.built_in import tasks_of
from evaluator.tasks.names import TaskName
from variants.contract import BASELINE, REFERENCE
from variants.source import loop_source


def render_report(record: Record, snapshot: ArchiveSnapshot) -> str:
    """Markdown. Sections on results say so where there are none, and why."""
    measured, published = measured_board(snapshot), published_board(snapshot)
    boards = [board for board in (measured, published) if len(board.scores) > 1]
    proposal, tasks = record.proposal, tasks_of(record.protocol)
    claims = "\n".join((*proposal.insights, proposal.motivation, *proposal.differences))
    return templates().get_template("report.md.j2").render(
        record=record,
        no_effect=NO_EFFECT,
        proposal=proposal,
        baseline=BASELINE,
        reference=REFERENCE,
        boards=[_board_facts(board, proposal.parent) for board in boards],
        loop=fenced(loop_source(proposal.variant.source), "python"),
        diff=fenced(_diff(record, snapshot), "diff"),
        mathematics=_mathematics(proposal.mathematics),
        expected=expected_rows(record, measured, published),
        contradictions=contradictions(claims, snapshot),
        measured=measured_rows(record, measured),
        calibration=calibration(record, measured),
        verdicts=[_verdict_facts(verdict) for verdict in record.verdicts],
        headlines=[headline(verdict, tasks) for verdict in record.verdicts],
        caution=_caution(record, snapshot),
        counterexamples=_counterexamples(record),
        size=_size_words(record, snapshot),
        inert=record.check.inert_tasks if record.check else (),
    )  # fmt: skip


def _size_words(record: Record, snapshot: ArchiveSnapshot) -> str:
    """The sizes of the proposal and of its parent; empty where none was measured."""
    own, parent = record_size(record), sizes_of(snapshot).of(record.proposal.parent)
    if not own.state_text:
        return ""
    told = f"; its parent {parent.words}" if parent.state_text else ""
    return f"{own.words}{told} (trained parameters; state in multiples of the baseline's)"


def fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"


def calibration(record: Record, board: Board) -> str:
    """How many intervals held, and how often the direction was right, beyond noise, where one was predicted."""
    if record.scorecard is None or not record.proposal.predictions:
        return ""
    scores = record.scorecard.scores
    both = {task: (found, scores[task]) for task, found in record.proposal.predictions.items() if task in scores}
    ranges = [predicted.holds(score.mean) for predicted, score in both.values() if predicted.low < predicted.high]
    told = (
        f"{sum(ranges)} of {len(ranges)} measured means lie inside their {100 * CONFIDENCE:.0f} % interval "
        f"(expected: {CONFIDENCE * len(ranges):.1f})."
    )
    exact = [predicted.holds(score.mean) for predicted, score in both.values() if predicted.low == predicted.high]
    if exact:
        told += f" {sum(exact)} of {len(exact)} predicted exactly came out exactly."
    name = record.proposal.parent
    against = next((verdict.tasks for verdict in record.verdicts if verdict.against == name), {})
    ways = {
        task: direction(predicted.mean - parent)
        for task, (predicted, _) in both.items()
        if (parent := board.mean(name, task)) is not None and task in against
    }
    signs = Counter(sign_of(way, against[task].outcome) for task, way in ways.items() if way in ("up", "down"))
    if signs:
        told += f" A change of at least {NEGLIGIBLE} was predicted on {signs.total()}: "
        told += f"{listed([f'{signs[sign]} {words}' for sign, words in _SIGNS.items() if sign in signs])}."
    return told


_SIGNS: dict[Sign, str] = {
    "right": "came so beyond noise",
    "wrong": "came the other way beyond noise",
    "open": "stayed within noise",
    "ruled out": "cannot come",
}


def headline(verdict: Verdict, every: Sequence[TaskName]) -> str:
    """The verdict against one variant in a sentence. `every`: all tasks of the protocol."""
    if all(found.n < 2 and found.outcome != "inert" for found in verdict.tasks.values()):
        return f"Against {code(verdict.against)}: one seed each, so nothing can be called better or worse."
    told = {task: verdict_words(found.outcome, found.n) for task, found in verdict.tasks.items()}
    parts = []
    for words in TOLD.values():
        if tasks := [task for task in every if told.get(task) == words]:
            parts.append(f"{words} on {', '.join(tasks)}")
    sentence = f"Against {code(verdict.against)}: {'; '.join(parts)}."
    if verdict.against == REFERENCE and _beats_all(verdict, every):
        challenge = f"All {number(len(every))} tasks at once: the standing challenge, if fresh seeds confirm it."
        sentence += f" **{challenge}**"
    return sentence


def _beats_all(verdict: Verdict, every: Sequence[TaskName]) -> bool:
    return all(task in verdict.tasks and verdict.tasks[task].outcome == "better" for task in every)


def _board_facts(board: Board, parent: str) -> dict[str, Any]:
    return {
        "title": board.title,
        "tasks": board.tasks,
        "rows": standing_rows(board, parent),
        "insights": (*ends(board), *leaderboard_facts(board)),
    }


def _verdict_facts(verdict: Verdict) -> dict[str, Any]:
    return {"against": verdict.against, "rows": verdict_rows(verdict)}


def _diff(record: Record, snapshot: ArchiveSnapshot) -> str:
    """From the parent's function to this one; empty where the parent's source is not known."""
    parent = snapshot.variants.get(record.proposal.parent)
    if parent is None:
        return ""
    old, new = (_function(variant.source).splitlines() for variant in (parent, record.proposal.variant))
    lines = difflib.unified_diff(old, new, parent.name, record.proposal.variant.name, n=1, lineterm="")
    return "\n".join(lines)


def _function(source: str) -> str:
    """The source without what stands before its first function: docstring and imports."""
    return source[source.find("\ndef ") + 1 :]


def _mathematics(text: str) -> str:
    """Mathematics as the proposer wrote it: markup stays, plain formulas keep their lines."""
    return text if not text or "$" in text or "`" in text else fenced(text, "text")


def _caution(record: Record, snapshot: ArchiveSnapshot) -> str:
    """How many were tried before, since one in twenty is better by chance at 95 %."""
    earlier = sum(
        known.status is Status.SCORED and known.protocol == record.protocol and known.created < record.created
        for known in snapshot.lines
    )
    return (
        f"Scored under this protocol before: {counted(earlier, 'proposal')}. Each comparison has its own "
        "95 % interval: of twenty without an effect, one is called better or worse."
    )


def _counterexamples(record: Record) -> list[dict[str, str]]:
    findings: tuple[Finding, ...] = record.check.findings if record.check else ()
    return [
        {
            "check": found.check,
            "message": found.message,
            "evidence": fenced(json.dumps(found.evidence, indent=1), "json"),
        }
        for found in findings
        if found.status == "fail"
    ]
