"""CPU seconds of each part of one more proposal: `python -m benchmarks.scale.parts ARCHIVE`.

One process, as in a search: what the first proposal has to read, the second knows. The times are those of this process
and of the git processes that it waited for. Nothing is checked or trained; the proposals that are told stay.
"""

import json
import os
import resource
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.analysis.boards.board import open_board
from agent.analysis.snapshot import take_snapshot
from agent.proposers.evolution.evolve import EvolveProposer
from agent.reports.report import render_report
from agent.search.confirm import WouldBeBest
from agent.search.fingerprint_index import FingerprintIndex
from agent.terminal.discoveries import archive_lines
from archive.records.record import Record
from archive.store import Archive
from benchmarks.scale.generate import REASONS
from benchmarks.scale.propose import untrained
from evaluator.outcomes import Status
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import trial_specs
from evaluator.statistics.scorecards import scorecard
from evaluator.trials.evaluate import Evaluator


def main() -> None:
    """Tell two proposals, and print the seconds of each part."""
    root = Path(sys.argv[1])
    watch = Stopwatch()
    archive = watch.time("open", Archive, root)
    watch.time("recover", archive.recover)
    for place in ("first", "second"):
        one_more(archive, watch, place)
    watch.time("board", open_board, QUICK.name, archive)
    watch.time("families", lambda: list(archive_lines(archive, QUICK.name)))
    mib = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps({"archive": root.name, "parts": watch.found, "mib": mib}))


class Stopwatch:
    """CPU seconds by part, those of children included."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def time(self, part: str, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Do it, and keep how long it took."""
        began = sum(os.times()[:4])
        result = work(*arguments, **options)
        self.found[part] = round(sum(os.times()[:4]) - began, 3)
        return result


def one_more(archive: Archive, watch: Stopwatch, place: str) -> None:
    """Ask for a proposal and tell it as SCORED, with trials that nobody ran."""
    seed = len(archive.ids())
    snapshot = watch.time(f"{place}: snapshot", take_snapshot, archive, QUICK.name, seed=seed)
    watch.time(f"{place}: fingerprints", FingerprintIndex, archive)
    proposal = watch.time(f"{place}: ask", EvolveProposer().ask, snapshot).proposal
    watch.time(f"{place}: predictions", archive.tell_predictions, proposal, QUICK.name, QUICK.hash)
    evaluator = Evaluator(QUICK, None, None)  # type: ignore[arg-type]
    trials = untrained(evaluator, proposal.variant, trial_specs(QUICK)).trials
    record = Record(
        number=0,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        proposal=proposal,
        status=Status.SCORED,
        reason=REASONS[Status.SCORED],
        protocol=QUICK.name,
        protocol_hash=QUICK.hash,
        trials=trials,
        scorecard=scorecard(trials),
    )
    snapshot = watch.time(
        f"{place}: snapshot for the report", take_snapshot, archive, QUICK.name, seed=seed, changes=False
    )
    report = watch.time(f"{place}: report", render_report, record, snapshot)
    watch.time(f"{place}: tell", archive.tell, record, report)
    watch.time(f"{place}: would be best", WouldBeBest.all_of, archive, QUICK)


if __name__ == "__main__":
    main()
