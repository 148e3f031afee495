"""Mechanisms that are known to do nothing at the sizes of a protocol: with them, every trial was the parent's own.

What was seen on one parent is taken to hold on every parent with the same rule of the update, as that sets the state's
scale, until a trial shows otherwise. Other parameters of the mechanism are another question.
"""

from collections.abc import Iterable, Iterator

from agent.analysis.measured_changes import MeasuredChange
from agent.catalogue import Genome, Mechanism
from agent.proposers.evolution.effects import SLOT, signed_changes
from variants.contract import short_name

Setting = tuple[str, str]
"""A mechanism with its parameters, and the rule of the update beside it, as JSON."""


class WithoutEffect:
    """What an archive shows of them."""

    def __init__(self, changes: Iterable[MeasuredChange]) -> None:
        """`changes`: measured under one protocol."""
        changes = tuple(changes)
        found = changes if any(change.without_effect for change in changes) else ()
        seen = [(setting, change) for change in found if (setting := _only_change(change)) is not None]
        acted = {setting for setting, change in seen if not change.without_effect}
        self._evidence = {setting: change for setting, change in seen if change.without_effect and setting not in acted}

    def reduced(self, genome: Genome) -> Genome:
        """The genome without them: what it is believed to compute."""
        found = {SLOT[type(each)]: None for each in self._of(genome)}
        return genome.replace(**found) if found else genome

    def carried(self, genome: Genome) -> bool:
        """Whether a genome has any, or a mechanism that does nothing by its definition: another computes the same."""
        return self.reduced(genome).canonical != genome.model_dump_json(exclude_none=True)

    def added(self, genome: Genome, parent: Genome) -> bool:
        """Whether a child has one that its parent has not."""
        return any(found not in parent.mechanisms.values() for found in self._of(genome))

    def sentences(self) -> tuple[str, ...]:
        """Each with its evidence."""
        return tuple(
            f"Not proposed again, since {_told(change)} did nothing: {change.identical_trials} trainings of "
            f"`{short_name(change.name)}` ended as those of `{short_name(change.parent)}`, seed by seed."
            for _, change in sorted(self._evidence.items())
        )

    def _of(self, genome: Genome) -> Iterator[Mechanism]:
        known = genome.mechanisms.values() if self._evidence else ()
        return (found for found in known if _setting(found, genome) in self._evidence)


def _only_change(change: MeasuredChange) -> Setting | None:
    """The mechanism that a change adds or drops; None where it does more, or less."""
    signed = tuple(signed_changes(change.genome, change.origin))
    if len(signed) != 1:
        return None
    sign, found = signed[0]
    return _setting(found, change.genome if sign > 0 else change.origin)


def _setting(mechanism: Mechanism, genome: Genome) -> Setting:
    update = genome.update if genome.update != mechanism else None
    return mechanism.model_dump_json(), update.model_dump_json() if update else ""


def _told(change: MeasuredChange) -> str:
    (_, found), *_ = signed_changes(change.genome, change.origin)
    values = ", ".join(f"{name} {value:g}" for name, value in found.parameters.items())
    return f"{found.mechanism} ({values})" if values else found.mechanism
