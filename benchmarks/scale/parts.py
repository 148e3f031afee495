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
    found: dict[str, float] = {}

    def timed(part: str, work: Callable[[], Any]) -> Any:
        began = sum(os.times()[:4])
        result = work()
        found[part] = round(sum(os.times()[:4]) - began, 3)
        return result

    archive = timed("open", lambda: Archive(root))
    timed("recover", archive.recover)
    for place in ("first", "second"):
        seed = len(archive.ids())
        snapshot = timed(f"{place}: snapshot", lambda seed=seed: take_snapshot(archive, QUICK.name, seed=seed))
        timed(f"{place}: trials", lambda: archive.trials(QUICK.name))
        timed(f"{place}: fingerprints", lambda: FingerprintIndex(archive))
        proposal = timed(f"{place}: ask", lambda: EvolveProposer().ask(snapshot)).proposal
        timed(f"{place}: predictions", lambda: archive.tell_predictions(proposal, QUICK.name, QUICK.hash))
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
        later = timed(
            f"{place}: snapshot for the report", lambda seed=seed: take_snapshot(archive, QUICK.name, seed=seed)
        )
        report = timed(f"{place}: report", lambda: render_report(record, later))
        timed(f"{place}: tell", lambda: archive.tell(record, report))
        timed(f"{place}: would be best", lambda: WouldBeBest.all_of(archive, QUICK))
    timed("board", lambda: open_board(QUICK.name, archive))
    timed("families", lambda: list(archive_lines(archive, QUICK.name)))
    found["mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps({"archive": root.name, "parts": found}))


if __name__ == "__main__":
    main()
