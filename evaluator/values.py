"""The base of every value that is written to disk."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """Immutable, and refuses fields that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
