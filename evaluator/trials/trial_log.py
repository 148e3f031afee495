"""Keeps finished trials until they are archived, so that a stopped or killed evaluation can go on later."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from evaluator.machine import versions
from evaluator.outcomes import Status, Trial
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.trials.run_trial import Isolation, spec_of
from variants.contract import Variant


def ends_the_same(trial: Trial) -> bool:
    """Whether it would end so again: scored or diverged, not killed for the time or the memory that it took."""
    return trial.status is Status.SCORED or (trial.failure is not None and trial.failure.kind == "diverged")


class TrialLog:
    """A file of trials that were scored or diverged, one per line, each written when it ends.

    Safe in threads, and where several processes have one file.
    """

    def __init__(self, path: Path, *, anywhere: bool = False) -> None:
        """The file need not exist yet. anywhere: the nodes of a cluster ran the trials, whose machines may differ."""
        self._path, self._anywhere = path, anywhere
        self._lock = threading.Lock()

    def ended(
        self, variant: Variant, protocol: Protocol, specs: Sequence[TrialSpec], isolation: Isolation
    ) -> dict[TrialSpec, Trial]:
        """The finished trials of `specs`, by the same code and on the same machine with the same versions.

        With `anywhere`, on any machine that had the same archer.
        """
        wanted = set(specs)
        return {
            spec_of(trial): trial.model_copy(update={"variant": variant.name})
            for trial in self._trials()
            if (trial.source_hash, trial.protocol_hash) == (variant.source_hash, protocol.hash)
            and trial.isolation == isolation
            and self._goes_on(trial)
            and spec_of(trial) in wanted
        }

    def add(self, trial: Trial) -> None:
        """Keep a trial that would end the same again: scored or diverged, not inherited. Raises OSError."""
        if ends_the_same(trial) and trial.inherited_from is None:
            with self._alone(), self._path.open("a", encoding="utf-8") as stream:
                stream.write(f"\n{trial.model_dump_json()}\n")  # apart from a line that a killed process left torn

    def forget(self, variant: Variant, protocol: Protocol, specs: Sequence[TrialSpec], isolation: Isolation) -> None:
        """Drop the trials of `specs` by a variant's code, once they are archived. Raises OSError."""
        done, those = (variant.source_hash, protocol.hash, isolation), set(specs)
        if not self._path.exists():
            return
        with self._alone():
            kept = [
                trial
                for trial in self._trials()
                if (trial.source_hash, trial.protocol_hash, trial.isolation) != done or spec_of(trial) not in those
            ]
            if not kept:
                self._path.unlink(missing_ok=True)
                return
            draft = self._path.with_suffix(".part")
            with draft.open("w", encoding="utf-8") as stream:
                stream.writelines(trial.model_dump_json() + "\n" for trial in kept)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self._path)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread or process writes the file meanwhile. Raises OSError."""
        with self._lock, self._path.with_suffix(".lock").open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def _goes_on(self, trial: Trial) -> bool:
        here = versions()
        return trial.versions.get("archer") == here["archer"] if self._anywhere else trial.versions == here

    def _trials(self) -> list[Trial]:
        if not self._path.exists():
            return []
        found = []
        with self._path.open("rb") as lines:  # bytes: what was cut off may end within a character
            for line in lines:
                with contextlib.suppress(ValidationError):  # a killed process was writing it: its trial is run again
                    found.append(Trial.model_validate_json(line))
        return found
