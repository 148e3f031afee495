"""A genome: at most one mechanism per slot of the for-loop; an empty slot is the baseline's own line."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.catalogue.decay import Decays
from agent.catalogue.error import Errors
from agent.catalogue.features import Features
from agent.catalogue.mechanism import Mechanism
from agent.catalogue.output import Outputs
from agent.catalogue.raw_scores import Scores
from agent.catalogue.state import Readouts, States
from agent.catalogue.update import Updates
from agent.catalogue.write import Writes
from variants.contract import BASELINE, VariantName

MAX_IDEA = 120 - len(f"{BASELINE}__in_for_loop")
Kind = Field(discriminator="mechanism")


class Genome(BaseModel):
    """Slots in the order in which the loop's body runs them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: Annotated[Features, Kind] | None = None
    readout: Annotated[Readouts, Kind] | None = None
    scores: Annotated[Scores, Kind] | None = None
    error: Annotated[Errors, Kind] | None = None
    output: Annotated[Outputs, Kind] | None = None
    decay: Annotated[Decays, Kind] | None = None
    write: Annotated[Writes, Kind] | None = None
    update: Annotated[Updates, Kind] | None = None
    state: Annotated[States, Kind] | None = None

    @cached_property
    def mechanisms(self) -> dict[str, Mechanism]:
        """The filled slots, in order."""
        filled = {slot: getattr(self, slot) for slot in SLOTS}
        return {slot: mechanism for slot, mechanism in filled.items() if mechanism is not None}

    def replace(self, **slots: Mechanism | None) -> "Genome":
        """The same genome with some slots filled otherwise; None empties one."""
        return Genome(**{**self.mechanisms, **slots})  # type: ignore[arg-type]

    @cached_property
    def canonical(self) -> str:
        """Equal for genomes that are the same function of inputs as a mixer makes them: JSON without no-ops."""
        return self._only({slot for slot, found in self.mechanisms.items() if not found.no_op}).model_dump_json(
            exclude_none=True
        )

    @cached_property
    def first_chunk(self) -> "Genome":
        """The genome without what cannot change the first chunk; equal ones have the same Memorize score."""
        mechanisms = self.mechanisms.items()
        return self._only({slot for slot, found in mechanisms if found.first_chunk and not found.no_op})

    @property
    def name(self) -> VariantName:
        """`delta_net_4layer_<ideas>_in_for_loop`, with parameters off their defaults; the baseline's if empty."""
        if not self.mechanisms:
            return BASELINE
        idea = "_".join(mechanism.label for mechanism in self.mechanisms.values())
        if len(idea) > MAX_IDEA:
            digest = hashlib.sha256(self.canonical.encode()).hexdigest()[:6]
            short = "_".join(mechanism.mechanism for mechanism in self.mechanisms.values())
            idea = f"{short[: MAX_IDEA - 7].rstrip('_')}_{digest}"
        return f"{BASELINE}_{idea}_in_for_loop"

    def to_json(self) -> dict[str, Any]:
        """Slot -> mechanism with parameters, plain values; `Genome.model_validate` reads it back."""
        return self.model_dump(mode="json", exclude_none=True)

    def _only(self, slots: set[str]) -> "Genome":
        return Genome(**{slot: found for slot, found in self.mechanisms.items() if slot in slots})  # type: ignore[arg-type]


def known_genome(mechanisms: Mapping[str, Any] | str) -> Genome | None:
    """The genome of recorded mechanisms, as values or as JSON; None for none, or some that the catalogue lacks."""
    if not mechanisms:
        return None
    try:
        if isinstance(mechanisms, str):
            return Genome.model_validate_json(mechanisms)
        return Genome.model_validate(mechanisms)
    except ValidationError:
        return None


SLOTS: tuple[str, ...] = tuple(Genome.model_fields)

CATALOGUE: dict[str, tuple[type[Mechanism], ...]] = {
    "features": get_args(Features),
    "readout": get_args(Readouts),
    "scores": get_args(Scores),
    "error": get_args(Errors),
    "output": get_args(Outputs),
    "decay": get_args(Decays),
    "write": get_args(Writes),
    "update": get_args(Updates),
    "state": get_args(States),
}
