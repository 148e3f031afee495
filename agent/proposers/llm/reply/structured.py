"""The reply of a small model: mechanisms of the catalogue with parameters; archer writes the code.

All is bounded so that a grammar can enforce it: choices are constants, numbers whole percent, texts short.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agent.catalogue import CATALOGUE, Genome, Mechanism
from agent.proposers.llm.prompt.facts import MechanismFact
from agent.proposers.llm.reply.read import BadReply, Points, Predictions, plain, strict_object
from archive.records.record import Prediction
from evaluator.tasks.names import TaskName

MOST_CHANGES = 2
LONGEST_TEXT = 240

_KINDS: dict[str, tuple[str, type[Mechanism]]] = {
    kind.model_fields["mechanism"].default: (slot, kind) for slot, kinds in CATALOGUE.items() for kind in kinds
}


class PercentReply(BaseModel):
    """Accuracy expected of one task, in whole percent, with the half-width of its interval."""

    model_config = ConfigDict(extra="ignore")

    percent: int = Field(ge=0, le=100)
    margin: int = Field(ge=0, le=100)

    def prediction(self) -> Prediction:
        """As it is archived: fractions, cut off at 0 and 1."""
        mean, margin = self.percent / 100, self.margin / 100
        return Prediction(mean=mean, low=max(0.0, round(mean - margin, 4)), high=min(1.0, round(mean + margin, 4)))


class StructuredReply(BaseModel):
    """Mechanisms with parameters, and why."""

    model_config = ConfigDict(extra="ignore")

    insights: Points
    changes: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=MOST_CHANGES)
    motivation: Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(plain)]
    predictions: Predictions[PercentReply]
    differences: Points
    next_steps: Points

    def genome(self, parent: Genome) -> Genome:
        """The parent's genome with the changes made. Raises BadReply for what the catalogue does not hold."""
        slots: dict[str, Mechanism] = {}
        for change in self.changes:
            slot, mechanism = _mechanism(change)
            # Small models say the same thing twice; that is no contradiction.
            if slots.setdefault(slot, mechanism) != mechanism:
                raise BadReply(_both(slots[slot].mechanism, mechanism.mechanism, slot))
        return parent.replace(**slots)


def _both(first: str, second: str, slot: str) -> str:
    if first == second:
        return f"{first} is given twice with different parameters: give it once"
    return f"{first} and {second} both fill the slot {slot}: choose one"


def _mechanism(change: dict[str, Any]) -> tuple[str, Mechanism]:
    """The slot and the mechanism of one change. Raises BadReply."""
    name = str(change.get("mechanism"))
    if name not in _KINDS:
        raise BadReply(f"the catalogue has no mechanism {name[:80]!r}")
    slot, kind = _KINDS[name]
    try:
        return slot, kind.model_validate(change)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadReply(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def structured_schema(mechanisms: Sequence[MechanismFact], tasks: Sequence[TaskName]) -> dict[str, Any]:
    """Strict JSON schema of `StructuredReply` that offers these mechanisms only, for predictions of these tasks."""
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
    points = {"type": "array", "items": text, "minItems": 1, "maxItems": 2}
    percent = {"type": "integer", "minimum": 0, "maximum": 100}
    margin = {"type": "integer", "minimum": 1, "maximum": 30}
    prediction = strict_object({"percent": percent, "margin": margin})
    options = [
        strict_object(
            {
                "mechanism": {"type": "string", "enum": [fact.mechanism]},
                **{name: {"type": "number", "enum": list(values)} for name, values in fact.parameters.items()},
            }
        )
        for fact in mechanisms
    ]
    return strict_object(
        {
            "insights": points,
            "changes": {"type": "array", "items": {"anyOf": options}, "minItems": 1, "maxItems": MOST_CHANGES},
            "motivation": text,
            "predictions": strict_object(dict.fromkeys(tasks, prediction)),
            "differences": points,
            "next_steps": points,
        }
    )
