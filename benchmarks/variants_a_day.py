"""How many variants a day a cluster gives: a simulation of archer's queue, and a real search held against it.

python -m benchmarks.variants_a_day --hours 3                          # GPUs on which one variant takes 3 hours
python -m benchmarks.variants_a_day --against ARCHIVE --slots 3 --jobs 2 --start 20 --took 95

A proposal is prepared (asked for and checked) outside of the nodes. Then its groups of trials wait in one queue: first
come, first served, a free slot takes the next. `jobs` proposals are in work at once. The simulation leaves out racing,
confirmations, nodes that fail, and that groups on one node slow each other down.
"""

import argparse
import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from archive.store import Archive
from evaluator.protocols.built_in import MAD
from evaluator.tasks.registry import fed_length

DAY = 86_400.0
SHARE = 4
"""Slots of a GPU, as `--gpu-share 0.25` has it."""
DAYS = 30
"""Days of search that are simulated, so that its beginning and its end weigh little."""


@dataclass(frozen=True)
class Work:
    """A proposal: seconds until its first group can run, and seconds of its groups, phase after phase."""

    prepared: float
    phases: tuple[tuple[float, ...], ...]


class Queue:
    """One search, simulated."""

    def __init__(self, works: Sequence[Work], slots: int, jobs: int, start: float = 0.0) -> None:
        """`slots` groups run at once, and `jobs` proposals are in work at once.

        start: seconds until a slot's first group begins, in which its worker and its sandbox start.
        """
        self._works, self._free, self._cold, self._start = works, slots, slots, start
        self._phase, self._left = [0] * len(works), [0] * len(works)
        self._waiting: deque[tuple[float, int]] = deque()
        self._events: list[tuple[float, int, int, bool]] = []
        """When; which of several first; whose; whether it is the end of a group, else of a preparation."""
        self._order, self._next = count(), iter(range(len(works)))
        self.ends: list[float] = []
        """Seconds after which a proposal had ended, in order."""
        for _ in range(jobs):
            self._prepare(0.0)

    def run(self, until: float = math.inf) -> list[float]:
        """Run it to its end, or for so many seconds; returns `ends`."""
        while self._events and self._events[0][0] <= until:
            now, _, who, is_group = heapq.heappop(self._events)
            if is_group:
                self._free += 1
                self._left[who] -= 1
            if not self._left[who]:
                self._next_phase(who, now)
            while self._free and self._waiting:
                seconds, whose = self._waiting.popleft()
                self._free -= 1
                if self._cold:
                    self._cold -= 1
                    seconds += self._start
                heapq.heappush(self._events, (now + seconds, next(self._order), whose, True))
        return self.ends

    def _prepare(self, now: float) -> None:
        if (who := next(self._next, None)) is not None:
            heapq.heappush(self._events, (now + self._works[who].prepared, next(self._order), who, False))

    def _next_phase(self, who: int, now: float) -> None:
        phases = self._works[who].phases
        if self._phase[who] == len(phases):
            self.ends.append(now)
            self._prepare(now)
            return
        groups = phases[self._phase[who]]
        self._phase[who] += 1
        self._left[who] = len(groups)
        self._waiting.extend((seconds, who) for seconds in groups)


def mad_on_a_gpu(hours: float, prepared: float) -> Work:
    """A variant under `mad`: 66 groups of six runs, one a setting, as long as the tokens that a setting trains on.

    hours: what one variant takes on one GPU that runs SHARE groups at once.
    """
    tokens = [
        fed_length(setting) * plan.batch * plan.steps_of(setting)
        for plan in MAD.tasks.values()
        for setting in plan.settings
    ]
    seconds = [3600 * hours * SHARE * each / sum(tokens) for each in tokens]
    return Work(prepared, (tuple(seconds[:1]), tuple(seconds[1:])))


def a_day(work: Work, gpus: int, jobs: int) -> float:
    """Variants a day on so many GPUs."""
    most = math.ceil(DAYS * DAY * gpus * SHARE / sum(sum(phase) for phase in work.phases)) + jobs
    return len(Queue([work] * most, gpus * SHARE, jobs).run(DAYS * DAY)) / DAYS


def table(work: Work) -> str:
    """Variants a day by GPUs and `--jobs`, beside what so many GPUs could give that are never idle."""
    jobs = (2, 4, 8, 16, 32)
    lines = ["| GPUs | " + " | ".join(f"`--jobs {each}`" for each in jobs) + " | never idle |"]
    lines.append("|---:" * (len(jobs) + 2) + "|")
    for gpus in (1, 2, 4, 8, 16, 64):
        never_idle = DAY * gpus * SHARE / sum(sum(phase) for phase in work.phases)
        cells = [f"{a_day(work, gpus, each):.1f}" for each in jobs]
        lines.append(f"| {gpus} | {' | '.join(cells)} | {never_idle:.0f} |")
    return "\n".join(lines)


def compared(works: Sequence[Work], slots: int, jobs: int, start: float, took: float) -> str:
    """A line on a real search and its simulation."""
    simulated = max(Queue(works, slots, jobs, start).run())
    groups = sum(len(phase) for work in works for phase in work.phases)
    return (
        f"{len(works)} proposals, {groups} trials, {slots} slots, {jobs} jobs, start {start:.0f} s: {took:.0f} s "
        f"measured, {simulated:.0f} s simulated ({simulated / took - 1:+.0%})"
    )


def works_of(archive: Path) -> list[Work]:
    """What the proposals of an archive took: the checks, and the trials, two of which went before the others."""
    found = []
    for record in Archive(archive).records():
        seconds = [trial.wall_seconds for trial in record.trials if trial.inherited_from is None]
        checked = record.check.seconds if record.check else 0.0
        found.append(Work(checked, (tuple(seconds[:1]), tuple(seconds[1:]))))
    return found


def main() -> None:
    """Print the tables, or the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=3.0, help="a variant under mad on one GPU alone")
    parser.add_argument("--prepared", type=float, default=300.0, help="seconds to ask for a proposal and check it")
    parser.add_argument("--against", type=Path, help="the archive of a real search")
    parser.add_argument("--slots", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--start", type=float, default=0.0, help="seconds until a slot's first trial begins")
    parser.add_argument("--took", type=float, help="seconds that the real search took")
    options = parser.parse_args()
    if options.against is not None:
        print(compared(works_of(options.against), options.slots, options.jobs, options.start, options.took))
        return
    print(table(mad_on_a_gpu(options.hours, options.prepared)))


if __name__ == "__main__":
    main()
