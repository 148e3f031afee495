"""The reply of a capable model: an analysis with a kernel; its JSON schema; finding it in what a model wrote."""

import json
import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from archive.record import Prediction
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import MAD_TASKS

MAX_CODE = 40_000
CUT_OFF = "the reply was cut off at the limit on its length: be briefer"


class BadReply(Exception):  # noqa: N818 - what it is, not an error of archer's
    """A reply that is no proposal; the message tells the model what to change."""


def plain(text: str) -> str:
    """Without control characters and lone surrogates, which break terminals and files."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text.replace("\r\n", "\n")).strip()


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


OneLine = Annotated[
    str, Field(min_length=1, max_length=200), AfterValidator(lambda text: " ".join(plain(text).split()))
]
Prose = Annotated[str, Field(min_length=1, max_length=6000), AfterValidator(plain)]
Points = Annotated[tuple[Prose, ...], BeforeValidator(_as_list), Field(min_length=1, max_length=12)]


class PredictionReply(BaseModel):
    """Accuracy expected of one task."""

    model_config = ConfigDict(extra="ignore")

    mean: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    why: Annotated[str, AfterValidator(plain)] = ""

    @model_validator(mode="after")
    def _ordered(self) -> "PredictionReply":
        if not self.low <= self.mean <= self.high:
            raise ValueError(f"low <= mean <= high does not hold: {self.low}, {self.mean}, {self.high}")
        return self

    def prediction(self) -> Prediction:
        """As it is archived."""
        return Prediction(mean=self.mean, low=self.low, high=self.high, why=self.why)


class CodeReply(BaseModel):
    """All that a report needs, in the order in which it is best thought out: analysis first, code late."""

    model_config = ConfigDict(extra="ignore")

    insights: Points
    parent: str
    title: OneLine
    name: OneLine
    motivation: Prose
    mathematics: Prose
    code: Annotated[str, Field(min_length=1, max_length=MAX_CODE)]
    predictions: dict[TaskName, PredictionReply]
    differences: Points
    next_steps: Points

    @model_validator(mode="after")
    def _complete(self) -> "CodeReply":
        missing = [task for task in MAD_TASKS if task not in self.predictions]
        if missing:
            raise ValueError(f"predictions lack {', '.join(missing)}")
        return self


Reply = TypeVar("Reply", bound=BaseModel)

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL)
_FENCE = re.compile(r"```[ \t]*([\w+-]*)[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)


def read_reply(text: str, finish: str, form: type[Reply]) -> Reply:
    """Parse what the model wrote. Raises BadReply with what to change."""
    if not text.strip():
        cause = "the limit on its length was reached before any text" if finish == "length" else "it is empty"
        raise BadReply(f"the reply cannot be used: {cause}")
    found = find_object(text)
    if found is None:
        raise BadReply(CUT_OFF if finish == "length" else "the reply cannot be used: it holds no complete JSON object")
    if "code" in form.model_fields:
        found = {**found, "code": _code(found.get("code"), text)}
    try:
        return form.model_validate(found)
    except ValidationError as error:
        if finish == "length":  # what was found is then a part of the object that was cut off
            raise BadReply(CUT_OFF) from None
        problems = error.errors(include_url=False, include_input=False, include_context=False)[:8]
        lines = [f"{'.'.join(map(str, problem['loc'])) or 'reply'}: {problem['msg']}" for problem in problems]
        raise BadReply("the reply does not have the required form: " + "; ".join(lines)) from None


def find_object(text: str) -> dict[str, Any] | None:
    """The largest JSON object in the text, in a fence or not; raw line breaks inside of its strings are let pass."""
    text = _THINKING.sub("", text)
    decoder = json.JSONDecoder(strict=False)
    best: tuple[int, dict[str, Any]] | None = None
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            if best is None or end - start > best[0]:
                best = (end - start, value)
        start = text.find("{", end)
    return best[1] if best else None


def _code(code: object, text: str) -> str:
    """The kernel's source: from the object, else from a Python fence beside it, as some models insist on."""
    source = code if isinstance(code, str) else ""
    inside = _FENCE.search(source)
    if inside:
        source = inside[2]
    if not source.strip():
        beside = [body for language, body in _FENCE.findall(text) if language.lower() in ("python", "py")]
        source = max(beside, key=len, default="")
    source = source.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
    return source.strip("\n") + "\n" if source.strip() else ""


def code_schema(parents: tuple[str, ...]) -> dict[str, Any]:
    """Strict JSON schema of `CodeReply`; bounds are left to validation, as not every endpoint takes them."""
    text: dict[str, Any] = {"type": "string"}
    points = {"type": "array", "items": text}
    number = {"type": "number"}
    prediction = strict_object({"mean": number, "low": number, "high": number, "why": text})
    return strict_object(
        {
            "insights": points,
            "parent": {"type": "string", "enum": list(parents)},
            "title": text,
            "name": text,
            "motivation": text,
            "mathematics": text,
            "code": text,
            "predictions": strict_object(dict.fromkeys(MAD_TASKS, prediction)),
            "differences": points,
            "next_steps": points,
        }
    )


def strict_object(properties: dict[str, Any]) -> dict[str, Any]:
    """A JSON-schema object with all of its properties required and no others allowed, as strict mode asks for."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
