"""What is said while the trials of one variant run: how many have ended, the newest, and the time left."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from agent.analysis.trial_work import weights
from agent.terminal.durations import duration
from agent.terminal.time_left import seconds_left
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.trials.evaluate import TrialProgress


class UnderWay:
    """Counts trials and weighs their work. `specs`: all that may be run; one twice if for two variants."""

    def __init__(
        self, protocol: Protocol, specs: Sequence[TrialSpec], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """The time is counted from the first step that is told: before that, checks run."""
        self._work = weights(protocol, specs)
        self._open = Counter(specs)
        self._total = len(specs)
        self._spent = 0.0
        self._running: dict[TrialSpec, float] = {}
        self._clock = clock
        self._began: float | None = None
        self._lock = threading.Lock()

    def told(self, step: TrialProgress) -> str:
        """Note a step, from any thread, and say where all of it stands."""
        with self._lock:
            self._began = self._clock() if self._began is None else self._began
            if step.trial is None:
                self._running[step.spec] = step.done
            elif step.spec in self._work:  # else it was known, and is none of those that may be run
                self._end(step.spec)
                self._total -= step.trial.inherited_from is not None  # nobody trains that one
            spec = step.spec
            newest = f"{spec.task} {spec.setting}, rate {spec.lr:g}, decay {spec.weight_decay:g}, seed {spec.seed}"
            ended = self._total - self._open.total()
            return f"{ended} of {self._total} trials ended; {newest}: {step.done:.0%}; {self._left()}"

    def _end(self, spec: TrialSpec) -> None:
        self._open[spec] -= 1
        if self._running.pop(spec, None) is not None:  # else it is inherited, or had ended before
            self._spent += self._work[spec]

    def _left(self) -> str:
        spent = self._spent + sum(done * self._work[spec] for spec, done in self._running.items())
        everything = self._spent + sum(count * self._work[spec] for spec, count in self._open.items())
        elapsed = self._clock() - (self._began or 0.0)
        left = seconds_left(spent, everything, elapsed)
        return f"{duration(elapsed)} so far" + ("" if left is None else f", about {duration(left)} left")
