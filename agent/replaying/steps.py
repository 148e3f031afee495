"""One step of a replay and its answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Answer = Literal["identical", "within noise", "differs"]
_WORST: tuple[Answer, ...] = ("identical", "within noise", "differs")


@dataclass(frozen=True)
class ReplayStep:
    """What was made again, and how it compares. `interval`: what counted as noise, where noise was in question."""

    part: Literal["prompt", "reply", "file", "protocol", "check", "training", "score"]
    what: str
    answer: Answer
    detail: str = ""
    reasons: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None

    @property
    def told(self) -> str:
        """`identical`, or `differs: what (why; why)`."""
        because = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"{self.answer}: {self.detail}{because}" if self.detail else f"{self.answer}{because}"

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "part": self.part,
            "step": self.what,
            "answer": self.answer,
            "detail": self.detail,
            "reasons": list(self.reasons),
            "interval": list(self.interval) if self.interval else None,
        }


def worst(steps: Iterable[ReplayStep]) -> Answer:
    """The answer of a whole replay."""
    return max((step.answer for step in steps), key=_WORST.index, default="identical")
