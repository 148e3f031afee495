"""What a call costs: what the endpoint says it did, else a price table that the user edits, else unknown."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.proposers.llm.errors import EndpointError
from agent.proposers.llm.toml_values import read_toml


class Price(BaseModel):
    """US dollars per million tokens of one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)

    def usd(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Price of a call with these token counts; the cached ones are part of the prompt's."""
        cached = self.input if self.cached_input is None else self.cached_input
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.input + cached_tokens * cached + completion_tokens * self.output) / 1e6


class PriceTable(BaseModel):
    """Prices by model name, read from a TOML file: `[models."NAME"]` with `input`, `output`, `cached_input`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: dict[str, Price] = Field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | None) -> "PriceTable":
        """The table in the file, empty without one. Raises EndpointError for a file that is no price table."""
        if path is None:
            return cls()
        try:
            return cls.model_validate(read_toml(path))
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise EndpointError(
                f'price table {path}: {reason}; expected [models."NAME"] with input = and output = in USD per million'
            ) from None


def cost_of(usage: dict[str, Any], price: Price | None) -> float | None:
    """US dollars of one call from its raw usage, or None where neither endpoint nor table say."""
    stated = usage.get("cost")
    if isinstance(stated, int | float) and not isinstance(stated, bool) and stated >= 0:
        return float(stated)
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if price is None or not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return price.usd(prompt, completion, min(cached, prompt) if isinstance(cached, int) else 0)
