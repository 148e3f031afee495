"""What every proposer is: something that answers a snapshot with one proposal."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from agent.analysis.snapshot import ArchiveSnapshot
from archive.records.record import Exchange, Proposal


@dataclass(frozen=True)
class Ask:
    """A proposal, and the prompts and replies that led to it; none for a proposer that is no language model."""

    proposal: Proposal
    exchanges: tuple[Exchange, ...] = ()
    usd: float | None = None
    """What the exchanges cost; None where that is unknown, or where nothing was bought."""


class AskFailed(Exception):  # noqa: N818 - an answer of the proposer's, and archived like one
    """No usable proposal came of an ask. The message is one line; the exchanges are kept."""

    passing = False
    """Of an error that is also the user's to mend: whether a later ask may do without."""

    def __init__(self, message: str, exchanges: tuple[Exchange, ...] = ()) -> None:
        super().__init__(message)
        self.exchanges = exchanges


class Proposer(Protocol):
    """Implementations may raise their own exceptions when they cannot propose at all."""

    name: str

    def ask(self, snapshot: ArchiveSnapshot) -> Ask:
        """One new proposal for what the snapshot holds."""
        ...


@runtime_checkable
class Repairer(Proposer, Protocol):
    """A proposer that can mend what the checks rejected."""

    def repair(self, snapshot: ArchiveSnapshot, ask: Ask, problem: str) -> Ask:
        """A new version of the proposal of `ask`; `problem` is the counterexample, or names the twin."""
        ...

    def cancel(self) -> None:
        """End all asks under way, which raise AskFailed; safe in a signal handler."""
        ...
