"""Proposers against each other at equal budget: each in archives of its own, and how good its best was when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean

from archive.records.record import Record, moment
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.protocol import Protocol
from evaluator.statistics.moderated_t_test import seed_means


@dataclass(frozen=True)
class ProposerBudget:
    """What each proposer may spend in each repeat. `minutes`: of CPU time, all trials of its proposals together."""

    proposals: int
    minutes: float | None

    def spent(self, archive: Archive, protocol: Protocol) -> tuple[int, float]:
        """Proposals made under the protocol, and CPU-minutes. What was interrupted costs when it has ended.

        An ask that gave no proposal counts as one without a score: else who fails to answer would have more tries.
        """
        ended = [record for record in archive.records() if _counts(record, protocol)]
        return len(ended) + len(archive.failed_asks()), sum(record.cost.cpu_seconds for record in ended) / 60


@dataclass(frozen=True)
class Arm:
    """One repeat of one proposer: after each proposal, the CPU-minutes so far and the scores by training seed."""

    minutes: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]
    """Mean of all tasks by training seed; empty for a proposal without a score."""
    asking_minutes: float = 0.0

    @classmethod
    def of(cls, archive: Archive, protocol: Protocol, budget: ProposerBudget) -> "Arm":
        """What an archive holds, up to the budget."""
        ended: list[tuple[datetime, Record | None]] = [(moment(record.created), record) for record in archive.records()]
        ended += [(when, None) for when in archive.failed_asks()]
        minutes: list[float] = []
        scores: list[tuple[float, ...]] = []
        spent = asking = 0.0
        for _, record in sorted(ended, key=lambda item: item[0]):
            if record is not None:
                if not _counts(record, protocol):
                    continue
                spent += record.cost.cpu_seconds / 60
            if len(scores) == budget.proposals or (budget.minutes is not None and spent > budget.minutes):
                break
            minutes.append(spent)
            asking += sum(exchange.seconds for exchange in record.exchanges) / 60 if record else 0.0
            known = (
                seed_means(record.trials, tuple(protocol.tasks)) if record and record.status is Status.SCORED else {}
            )
            scores.append(tuple(known.values()))
        return cls(tuple(minutes), tuple(scores), asking)

    def best(self, count: int, pick: Callable[[tuple[float, ...]], float] = fmean) -> float | None:
        """The best of the first `count` proposals."""
        return max((pick(seeds) for seeds in self.scores[:count] if seeds), default=None)

    def within(self, minutes: float) -> int:
        """How many proposals had ended by then."""
        return sum(each <= minutes for each in self.minutes)


def _counts(record: Record, protocol: Protocol) -> bool:
    """Whether it came to its end under this version of the protocol. What was interrupted is asked for again."""
    return record.status is not Status.INTERRUPTED and record.protocol_hash == protocol.hash
