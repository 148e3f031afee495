"""What a mechanism is: one idea for one slot of the for-loop, with bounded parameters, as code, formula and motive."""

import inspect
import textwrap
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


def grid(default: float, *values: float) -> Any:
    """A parameter between the least and the largest of `values`, which are also the steps a search takes."""
    return Field(default, ge=min(values), le=max(values), json_schema_extra={"grid": list(values)})


class Mechanism(BaseModel):
    """Base of all mechanisms. The docstring of each is its title; the texts below are filled with its parameters.

    A parameter `p` stands in them as `{p}`; where 1 is to vanish, as `{p_times}` (factor), `{p_over}` (divisor) and
    `{p_power}` (exponent) in code, `{p_x}` (factor) and `{p_exp}` (exponent) in formulas.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mechanism: str

    first_chunk: ClassVar[bool] = False
    """Whether it can change outputs of the first chunk, where the state is zero: all that Memorize ever sees."""
    no_op: ClassVar[bool] = False
    """Whether it does nothing to inputs as the mixer makes them, q and k L2-normalised."""
    idea: ClassVar[str]
    """Its part in a variant's name."""
    formula: ClassVar[str]
    why: ClassVar[str]
    code: ClassVar[str] = ""
    carry: ClassVar[str] = ""
    """Code before the loop, that initialises carried state."""
    after: ClassVar[str] = ""
    """Code at the end of the loop's body, that updates carried state."""

    @property
    def title(self) -> str:
        """What it is, in a phrase without a full stop."""
        return (inspect.getdoc(type(self)) or self.mechanism).splitlines()[0].rstrip(".")

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters by name."""
        return self.model_dump(exclude={"mechanism"})

    @classmethod
    def grids(cls) -> dict[str, list[float]]:
        """Steps of each parameter."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return {name: list(extra["grid"]) for name, extra in extras.items() if isinstance(extra, dict)}  # type: ignore[arg-type]

    @property
    def label(self) -> str:
        """The idea, followed by each parameter that is not at its default: `softmax_attention_s4`."""
        changed = [
            f"{name[0]}{value:g}".replace(".", "p").replace("-", "m")
            for name, value in self.parameters.items()
            if value != type(self).model_fields[name].default
        ]
        return "_".join([self.idea, *changed])

    def fill(self, text: str, **names: str) -> str:
        """`text` with parameters, and further `names`, put in; dedented."""
        words = dict(names)
        for name, value in self.parameters.items():
            words[name] = f"{value:g}"
            vanish = value == 1
            words[f"{name}_times"] = "" if vanish else f"{value:g} * "
            words[f"{name}_over"] = "" if vanish else f" / {value:g}"
            words[f"{name}_power"] = "" if vanish else f" ** {value:g}"
            words[f"{name}_x"] = "" if vanish else f"{value:g} "
            words[f"{name}_exp"] = "" if vanish else f"^{value:g}"
        return textwrap.dedent(text).strip("\n").format(**words)
