"""What is said to a model, turn by turn: the rendered text beside the template and the facts it came from."""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agent.proposers.llm.configuration.settings import Form
from agent.proposers.llm.prompt.facts import PromptFacts
from agent.proposers.llm.prompt.templates import FIRST_TURNS, REPAIR, Templates


class Turn(BaseModel):
    """One message. `values` are what the template was given beyond the facts; a model's own turn has no template."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    text: str
    template: str | None = None
    values: dict[str, str] = {}


class Conversation(BaseModel):
    """A prompt in full: enough to render it again, to read the reply to it, and to continue it with a repair."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    facts: PromptFacts
    turns: tuple[Turn, ...]

    @classmethod
    def begin(cls, facts: PromptFacts, templates: Templates) -> "Conversation":
        """The first prompt on these facts."""
        return cls(facts=facts, turns=()).rendered(templates, *((role, name, {}) for role, name in FIRST_TURNS.items()))

    def rendered(self, templates: Templates, *parts: tuple[Any, str, dict[str, str]]) -> "Conversation":
        """With further turns, each of (role, template, values)."""
        turns = tuple(
            Turn(role=role, template=name, values=values, text=templates.render(name, {"facts": self.facts, **values}))
            for role, name, values in parts
        )
        return self.model_copy(update={"turns": self.turns + turns})

    def answered(self, reply: str, templates: Templates, template: str, **values: str) -> "Conversation":
        """The first prompt, this reply and what is wrong with it. Earlier replies are left out, to stay short.

        What tests found of them stays said, as the value `earlier`.
        """
        first = self.turns[: len(FIRST_TURNS)]
        spoken = (*first, Turn(role="assistant", text=reply))
        values = {**values, "earlier": self._found}
        return self.model_copy(update={"turns": spoken}).rendered(templates, ("user", template, values))

    @property
    def _found(self) -> str:
        """What tests found of the versions before the one that is asked for, the first one first; empty for none."""
        last = self.turns[-1]
        own = last.values.get("problem", "") if last.template == REPAIR else ""
        return "\n\n".join(filter(None, (last.values.get("earlier", ""), own)))

    def refitted(self, facts: PromptFacts, templates: Templates) -> "Conversation":
        """The same turns, from other facts."""
        return self.model_copy(update={"facts": facts}).render_again(templates)

    def render_again(self, templates: Templates) -> "Conversation":
        """The same turns from the same facts, by the templates in force now."""
        turns = [
            turn.model_copy(update={"text": templates.render(turn.template, {"facts": self.facts, **turn.values})})
            if turn.template is not None
            else turn
            for turn in self.turns
        ]
        return self.model_copy(update={"turns": tuple(turns)})

    @property
    def form(self) -> Form:
        """The form of reply that is asked for."""
        return self.facts.form

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """As the endpoint takes them."""
        return tuple({"role": turn.role, "content": turn.text} for turn in self.turns)

    @property
    def text(self) -> str:
        """All turns, for measuring their length."""
        return "\n".join(turn.text for turn in self.turns)

    @property
    def digest(self) -> str:
        """SHA-256 of the messages."""
        return hashlib.sha256(json.dumps(self.messages, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()
