"""How large the mixer of a row is: its trained parameters, and the state that it carries from chunk to chunk.

The state is measured by the check `state` and kept in the records; that of seeds and controls ships. Here it is told in
multiples of what the baseline's mixers carry under the same protocol, whose heads and widths a reference may not share.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from agent.analysis.boards.board import Board
from agent.analysis.snapshot import ArchiveSnapshot
from agent.words import rounded, times
from archive.errors import ArchiveError
from archive.records.lines import ProposalLine
from archive.records.record import Record
from archive.seeding import shipped_sizes
from archive.store import Archive
from evaluator.outcomes import BASELINE_STATE, StateSize
from evaluator.protocols.built_in import PROTOCOLS, protocol_of_today
from evaluator.protocols.protocol import Protocol
from variants.contract import Layer, Variant, short_name
from variants.outside_archives import outside_archives
from variants.seeds import seed_variants

GROWS, HIDDEN = "grows", "?"
"""Of a state that is larger where there are more chunks, and of one that the check could not find."""


@dataclass(frozen=True)
class Size:
    """The size of one mixer.

    parameters: None where the model is not known, as that of the published table is not. state: in multiples of the
    baseline's; None where it was not measured, or, if `hidden`, could not be. grows: with the length, so that `state`
    is only that of eight chunks.
    """

    parameters: int | None = None
    state: float | None = None
    grows: bool = False
    hidden: bool = False

    @property
    def parameters_text(self) -> str:
        """`16.9k`; empty where they are not known."""
        return "" if self.parameters is None else rounded(self.parameters)

    @property
    def state_text(self) -> str:
        """`1×`, `1.01×`, `grows`, `?`; empty where it was not measured."""
        if self.hidden:
            return HIDDEN
        return GROWS if self.grows else "" if self.state is None else times(self.state)

    @property
    def is_larger(self) -> bool:
        """Whether the state is more than the baseline's, or may be."""
        return self.hidden or self.grows or (self.state or 0.0) > 1.0

    @property
    def words(self) -> str:
        """`16.9k params, state 2×`; empty where nothing is known."""
        parts = (("{} params", self.parameters_text), ("state {}", self.state_text))
        return ", ".join(form.format(text) for form, text in parts if text)

    def json(self) -> dict[str, Any]:
        """For JSON answers."""
        return {
            "mixer_parameters": self.parameters,
            "state_times_baseline": self.state,
            "state_grows": self.grows,
            "state_hidden": self.hidden,
        }


NO_SIZE = Size()


class Sizes:
    """The sizes of the rows of a board, by name of the variant."""

    def __init__(
        self, protocol: str, proposals: Iterable[ProposalLine], variant: Callable[[str], Variant | None]
    ) -> None:
        """protocol: its name; one that archer does not know, as `published`, has no parameters. variant: by name."""
        self._protocol, self._variant = PROTOCOLS.get(protocol), variant
        self._proposals = {line.name: line for line in proposals}

    @property
    def legend(self) -> str:
        """What the two columns are."""
        numbers = f"'s {self._protocol.mixer(Layer.DELTA_NET).state:,} numbers" if self._protocol else "'s"
        return (
            "params: trained parameters of one mixer; state: what it carries from chunk to chunk, in multiples of the "
            f"baseline{numbers} ({HIDDEN}: hidden from the check; empty: not measured)"
        )

    def of(self, name: str) -> Size:
        """The size of a row. One that the archive has no code of is taken for what ships under that name."""
        line, code = self._proposals.get(name), self._code(name)
        if line is not None:
            layer = Layer.DELTA_NET if code is None else code.layer
            measured = StateSize(numbers=line.state[0], grows=line.state[1]) if line.state else None
            return _size(self._protocol, layer, _state(line.source_hash, measured))
        known = code or outside_archives().get(name)
        return NO_SIZE if known is None else _size(self._protocol, known.layer, _state(known.source_hash))

    def _code(self, name: str) -> Variant | None:
        try:
            found = self._variant(name)
        except ArchiveError:  # `archer verify` says what is wrong with it
            found = None
        return found or seed_variants().get(name)


def open_sizes(protocol: str, archive: Archive | None) -> Sizes:
    """The sizes of the rows of a board, from an archive or, without an archive, from the files of archer."""
    if archive is None:
        return Sizes(protocol, (), lambda _: None)
    return Sizes(protocol, archive.lines(), archive.variant)


def sizes_of(snapshot: ArchiveSnapshot) -> Sizes:
    """The sizes of the rows of the snapshot's board."""
    return Sizes(snapshot.protocol, snapshot.lines, snapshot.variants.get)


def record_size(record: Record) -> Size:
    """The size of a proposal, under the protocol that it was proposed for."""
    variant = record.proposal.variant
    today = protocol_of_today(record.protocol, record.protocol_hash)
    return _size(today, variant.layer, _state(variant.source_hash, record.state))


def state_words(size: Size) -> str:
    """`carries 2× the baseline's state from chunk to chunk`; empty where it is not known to be more."""
    if size.hidden:
        return "carries a state of unknown size from chunk to chunk"
    if size.grows:
        return "carries a state that grows with the length"
    return f"carries {size.state_text} the baseline's state from chunk to chunk" if size.is_larger else ""


def unequal(board: Board, sizes: Sizes) -> tuple[str, ...]:
    """A sentence on the rows that carry more than the baseline does; none where no row is known to."""
    found = {name: size for name in board.scores if (size := sizes.of(name)).is_larger}
    if not found:
        return ()
    told = ", ".join(f"`{short_name(name)}` {size.state_text}" for name, size in found.items())
    return (f"Rows that carry more state from chunk to chunk than the baseline, in multiples of its: {told}.",)


def _size(protocol: Protocol | None, layer: Layer, state: StateSize | None) -> Size:
    parameters = None if protocol is None else protocol.mixer_parameters(layer)
    if state is None:
        return Size(parameters)
    if state.numbers is None:
        return Size(parameters, hidden=True)
    share = 1.0
    if protocol is not None:
        share = protocol.mixer(layer).state / protocol.mixer(Layer.DELTA_NET).state
    elif layer is not Layer.DELTA_NET:
        return Size(parameters)  # of a mixer whose shape is not known
    return Size(parameters, share * state.numbers / BASELINE_STATE, state.grows)


def _state(source_hash: str, measured: StateSize | None = None) -> StateSize | None:
    return measured if measured is not None else shipped_sizes().get(source_hash)
