"""The reply of a capable model: an analysis with a kernel; its JSON schema; reading it, or saying why it cannot be."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from agent.proposers.llm.prompt.facts import LONGEST_CLAIM
from agent.proposers.llm.reply.kernel_source import fence_in, source_in, tidied
from agent.proposers.llm.reply.latex import with_mathematics
from agent.proposers.llm.reply.objects import Answer
from agent.proposers.llm.reply.tolerant_json import JsonObject
from archive.records.record import Prediction
from evaluator.tasks.names import TaskName

NO_PARENT = "none"
"""What a reply says for its second parent where it has one parent only."""
MOST_NOTES = 12
"""A notebook is at most a page."""
MAX_CODE = 40_000
LONGEST_COMPLAINT = 2000
LONGEST_EXCERPT = 60
MOST_PROBLEMS = 8
CUT_OFF = "the reply was cut off at the limit on its length: be briefer"
CUT_SHORT = {
    "length": CUT_OFF,
    "content_filter": "the reply cannot be used: a content filter of the endpoint cut it off",
}
"""What is said of a reply without an end, by the reason why the model stopped."""


class BadReply(Exception):  # noqa: N818 - what it is, not an error of archer's
    """A reply that is no proposal; the message, one line, tells the model what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(_excerpt(plain(message), LONGEST_COMPLAINT))


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


Predicted = TypeVar("Predicted", bound=BaseModel)


def _as_asked(predictions: dict[TaskName, Predicted], info: ValidationInfo) -> dict[TaskName, Predicted]:
    asked: Sequence[TaskName] = (info.context or {})["tasks"]
    if missing := [task for task in asked if task not in predictions]:
        raise ValueError(f"predictions lack {', '.join(missing)}")
    if further := [task for task in predictions if task not in asked]:
        raise ValueError(f"predictions are asked for {', '.join(asked)} alone, not for {', '.join(further)}")
    return predictions


Predictions = Annotated[dict[TaskName, Predicted], AfterValidator(_as_asked)]
"""One for each task that the prompt asks for, which `read_reply` is told."""


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


def _cut(claim: str) -> str:
    return claim if len(claim) <= LONGEST_CLAIM else f"{claim[: LONGEST_CLAIM - 4].rstrip()} ..."


class NoteReply(BaseModel):
    """A claim of the notebook, with the variants that it rests on."""

    model_config = ConfigDict(extra="ignore")

    claim: Annotated[str, Field(min_length=1), AfterValidator(plain), AfterValidator(_cut)]
    links: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1, max_length=12)]


def _readable_notes(value: Any) -> Any:
    """What of a notebook can be read: a note that cannot is no reason to lose the proposal that came with it."""
    found = []
    for note in value if isinstance(value, list) else ():
        try:
            found.append(NoteReply.model_validate(note))
        except ValidationError:
            continue
    return found[:MOST_NOTES]


class CodeReply(BaseModel):
    """All that a report needs, in the order in which it is best thought out: analysis first, code late."""

    model_config = ConfigDict(extra="ignore")

    insights: Points
    parent: str
    second_parent: str | None = None
    title: OneLine
    name: OneLine
    motivation: Prose
    mathematics: Prose
    code: Annotated[str, Field(min_length=1, max_length=MAX_CODE)]
    predictions: Predictions[PredictionReply]
    differences: Points
    next_steps: Points
    notebook: Annotated[tuple[NoteReply, ...], BeforeValidator(_readable_notes)] = ()


Reply = TypeVar("Reply", bound=BaseModel)

_REFUSAL = re.compile(
    r"\s*(?:(?:I['’]m|I am) (?:very |so |truly )?(?:sorry|unable|not able)|sorry\b|I apologi[sz]e|I can(?:no|['’]?)t\b|"
    r"I (?:must|have to) (?:decline|refuse)|I (?:won['’]?t|will not)\b|unfortunately,? I\b|as an AI\b)",
    re.IGNORECASE,
)


def read_reply(text: str, finish: str, form: type[Reply], tasks: Sequence[TaskName]) -> Reply:
    """Parse what the model wrote: the last complete object of the form beside thinking. Raises BadReply.

    `finish`: why the model stopped, as the endpoint says it; "length" and "content_filter" make a difference. `tasks`:
    what it was asked to predict.
    """
    answer, fields = Answer.of(text), form.model_fields.keys()
    found = answer.last_of_form(fields)
    meant = answer.meant(fields) if found is None else answer.begun_after(found, fields) or found
    if meant is None:
        raise BadReply(f"the reply cannot be used: {_why_nothing(text, answer, finish)}")
    if isinstance(meant, JsonObject):
        raise BadReply(_why_broken(answer.text, meant, finish))
    value = with_mathematics(meant.value, meant.is_json, meant.single_backslashes)
    given_code = value.get("code")
    if "code" in fields:
        source = _source(value.pop("code", None), answer.beside(fields), finish)
        value |= {} if source is None else {"code": source}
    try:
        return form.model_validate(value, context={"tasks": tasks})
    except ValidationError as error:
        if finish == "length" and found is None:  # the object is a part of the one that was cut off
            raise BadReply(CUT_OFF) from None
        raise BadReply(f"the reply does not have the required form: {_problems(error, given_code)}") from None


def _source(given: Any, beside: str, finish: str) -> Any:
    """The kernel's source, from the field or else from a fence; None without any. What is no text is left as it is."""
    if isinstance(given, list) and all(isinstance(line, str) for line in given):
        given = "\n".join(line.rstrip("\n") for line in given)
    if not isinstance(given, str | None):
        return given
    source = source_in(given or "")
    if source:
        return tidied(source)
    fence = fence_in(given or "") or fence_in(beside)
    if fence is not None and not fence.is_closed and finish in CUT_SHORT:
        raise BadReply(CUT_SHORT[finish])
    return tidied(fence.body) if fence else None


def _why_nothing(text: str, answer: Answer, finish: str) -> str:
    """Why there is no object at all."""
    shown = " ".join(answer.text.split())
    if finish == "content_filter":
        return "a content filter of the endpoint withheld it"
    if finish == "length":
        before = "any text" if not text.strip() else "the end of the model's thinking" if not shown else ""
        return f"the limit on its length was reached before {before}" if before else CUT_OFF
    if not text.strip():
        return "it is empty"
    if not shown:
        return "it holds nothing but thinking, and no answer after it (in the final channel, where there are channels)"
    if _REFUSAL.match(shown):
        return f"the model refuses: {_excerpt(shown, 200)}"
    return f"it holds no complete JSON object; it begins: {_excerpt(shown)}"


def _why_broken(text: str, broken: JsonObject, finish: str) -> str:
    """What is wrong with the object that was meant, and where."""
    fault = broken.fault
    assert fault is not None
    if fault.unfinished and finish in CUT_SHORT:
        return CUT_SHORT[finish]
    if fault.unfinished:
        within = f"; the reply ends within {_path(fault.path)}" if fault.path else ""
        place = _place(text, broken.start)
        return f"the reply cannot be used: it holds no complete JSON object: the one at {place} has no end{within}"
    within = f", in {_path(fault.path)}" if fault.path else ""
    return (
        f"the reply cannot be used: it is no valid JSON at {_place(text, fault.at)}{within}: {fault.reason}; "
        f"there stands: {_excerpt(text[fault.at : fault.at + 200])}"
    )


def _place(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def _path(path: Sequence[str | int]) -> str:
    return ".".join(str(part)[:LONGEST_EXCERPT] for part in path)


def _excerpt(text: str, longest: int = LONGEST_EXCERPT) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[:longest]} ..."


def _problems(error: ValidationError, given_code: Any) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)[:MOST_PROBLEMS]
    lines = [f"{_path(problem['loc']) or 'reply'}: {problem['msg']}" for problem in problems]
    if isinstance(given_code, str) and given_code:
        shown = _excerpt(given_code)
        no_code = f"code: it holds no code but {shown!r}, and no fence with Python stands beside the object"
        lines = [no_code if line == "code: Field required" else line for line in lines]
    return "; ".join(lines)


def code_schema(parents: Sequence[str], tasks: Sequence[TaskName]) -> dict[str, Any]:
    """Strict JSON schema of `CodeReply`, with predictions of these tasks.

    Bounds are left to validation, as not every endpoint takes them.
    """
    text: dict[str, Any] = {"type": "string"}
    points = {"type": "array", "items": text}
    number = {"type": "number"}
    prediction = strict_object({"mean": number, "low": number, "high": number, "why": text})
    return strict_object(
        {
            "insights": points,
            "parent": {"type": "string", "enum": list(parents)},
            "second_parent": {"type": "string", "enum": [*parents, NO_PARENT]},
            "title": text,
            "name": text,
            "motivation": text,
            "mathematics": text,
            "code": text,
            "predictions": strict_object(dict.fromkeys(tasks, prediction)),
            "differences": points,
            "next_steps": points,
            "notebook": {"type": "array", "items": strict_object({"claim": text, "links": points})},
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
