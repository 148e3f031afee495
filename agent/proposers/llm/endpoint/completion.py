"""What a completion says: the text of the answer, wherever an endpoint puts it, or why there is none."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

DEEPEST_PARTS = 4
MOST_CHOICES = 100
"""More are not looked at; archer asks for one."""
LONGEST_REASON = 300
_CALL_PARTS = {"tool_use", "tool_call", "function_call", "function"}
_THINKING_PARTS = {"thinking", "reasoning", "redacted_thinking", "summary"}
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_details")
_LENGTH = {"length", "max_tokens", "max_output_tokens", "model_length", "max_length", "token_limit"}
_FILTERS = {
    "content_filter",
    "content_filtered",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "sensitive",
    "moderation",
    "guardrail_intervened",
}
_MAY_PASS = {408, 409, 425, 429}
"""Codes of errors below 500 that the same request may not meet again."""


@dataclass(frozen=True)
class Completion:
    """The text; why it ended (`length` and `content_filter` by these names); and, where something withheld it, what."""

    text: str
    finish: str
    withheld: str = ""


def completion_of(body: dict[str, Any]) -> Completion:
    """What the first choice that says something says.

    The text is the content and the arguments of calls; where there is neither, the reasoning, which some servers take
    the answer for. Reasoning that was cut off is none: only drafts are in it.
    """
    read = [_of_choice(choice) for choice in _choices(body)]
    return next((said for said in read if said.text.strip()), read[0] if read else Completion("", ""))


def error_in(body: dict[str, Any]) -> object | None:
    """The error that stands in place of a completion, or inside of its choices, and may not come again; else None.

    Gateways answer with 200 and wrap the failure of the model's server.
    """
    errors: list[object] = [body["error"]] if body.get("error") else []
    for choice in _choices(body):
        error = choice.get("error")
        if error and not _is_final(error):
            errors.append(error)
        elif not error and str(choice.get("finish_reason")).lower() == "error":
            errors.append("the model's server ended the reply with an error and does not say which")
    return errors[0] if errors else None


def has_answer(body: dict[str, Any]) -> bool:
    """Whether there is a message, or the reason why there is none."""
    return any(_message(choice) or _of_choice(choice).withheld for choice in _choices(body))


def _choices(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices; where the prompt was filtered, so that there are none, what is said of that in their place."""
    choices = body.get("choices") or [
        {**result, "finish_reason": "content_filter"}
        for result in _dicts(body.get("prompt_filter_results"))
        if any(_filtered(result))
    ]
    return list(islice(_dicts(choices), MOST_CHOICES))


def _dicts(values: object) -> Iterator[dict[str, Any]]:
    yield from (value for value in values if isinstance(value, dict)) if isinstance(values, list) else ()


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    """The message; a choice of the older completions API has its text beside it."""
    for name in ("message", "delta"):
        if isinstance(choice.get(name), dict):
            return dict(choice[name])
    text = choice.get("message") or choice.get("text")
    return {"content": text} if isinstance(text, str) else {}


def _of_choice(choice: dict[str, Any]) -> Completion:
    message, finish = _message(choice), _finish(choice)
    content = message.get("content")
    said = [_text(content), *_arguments(message)]
    text = "\n\n".join(part for part in said if part.strip())
    withheld = _withheld(choice, message, finish)
    if not text and not withheld and finish != "length":
        text = _reasoning(message)
    return Completion(_whole(text), finish, _whole(withheld))


def _finish(choice: dict[str, Any]) -> str:
    reason = str(choice.get("finish_reason") or "").strip()
    known = reason.lower().partition(":")[0].removeprefix("image_")
    if known in _LENGTH:
        return "length"
    return "content_filter" if known in _FILTERS else reason


def _withheld(choice: dict[str, Any], message: dict[str, Any], finish: str) -> str:
    """Why there is no answer, in words that follow "the reply cannot be used:"."""
    refusal = message.get("refusal") or next(_refusals(message.get("content")), None)
    if refusal:
        return f"the model refuses: {_line(refusal)}"
    if choice.get("error"):
        return f"the endpoint reports an error in place of the reply: {_line(choice['error'])}"
    if finish == "refusal":
        return "the model refuses and does not say why"
    if finish == "content_filter":
        what = ", ".join(_filtered(choice)) or str(choice.get("finish_reason"))
        return f"a content filter of the endpoint withheld it ({_line(what)})"
    return ""


def _filtered(choice: dict[str, Any]) -> Iterator[str]:
    """Names of the filters that say that they filtered, as Azure reports them."""
    results = choice.get("content_filter_results")
    for name, result in results.items() if isinstance(results, dict) else ():
        if isinstance(result, dict) and (result.get("filtered") or result.get("detected")):
            yield str(name)


def _text(content: object, levels: int = DEEPEST_PARTS) -> str:
    """The text of a content: a string, a part or a list of parts; an object that is no part is itself the answer."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and levels:
        return "".join(_text(part, levels - 1) for part in content)
    if not isinstance(content, dict) or not content or not levels:
        return ""
    kind = str(content.get("type", ""))
    if kind in _THINKING_PARTS or kind == "refusal":
        return ""
    if kind in _CALL_PARTS:
        return "\n\n".join(_arguments({"tool_calls": [content]}))
    inner = next((content[name] for name in ("text", "value", "json") if content.get(name)), None)
    if inner is None:
        return "" if kind else _dumped(content)
    return _text(inner, levels - 1)


def _refusals(content: object) -> Iterator[object]:
    for part in _dicts(content):
        if part.get("type") == "refusal":
            yield part.get("refusal") or part.get("text") or "it does not say why"


def _arguments(message: dict[str, Any]) -> Iterator[str]:
    """The arguments of calls: JSON text, or the object itself."""
    for call in _dicts([*_dicts(message.get("tool_calls")), {"function": message.get("function_call")}]):
        inner = next((call[name] for name in ("function", "custom") if isinstance(call.get(name), dict)), call)
        arguments = next((inner[name] for name in ("arguments", "input", "parameters") if inner.get(name)), None)
        if isinstance(arguments, str | dict):
            yield arguments if isinstance(arguments, str) else _dumped(arguments)


def _reasoning(message: dict[str, Any]) -> str:
    for source in (*(message.get(name) for name in _REASONING_FIELDS), message.get("content")):
        text = "".join(map(_thought, source)) if isinstance(source, list) else _thought(source)
        if text.strip():
            return text
    return ""


def _thought(part: object) -> str:
    """The text of reasoning, or of a part of it."""
    if isinstance(part, dict):
        return _text(next((part[name] for name in ("text", "thinking", "reasoning", "summary") if part.get(name)), ""))
    return part if isinstance(part, str) else ""


def _is_final(error: object) -> bool:
    """Whether the same request would meet the error again, as where the prompt was flagged."""
    code = error.get("code") if isinstance(error, dict) else None
    return isinstance(code, int) and 400 <= code < 500 and code not in _MAY_PASS


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _line(value: object) -> str:
    """One line of bounded length."""
    if isinstance(value, dict):
        value = value.get("message") or _dumped(value)
    line = " ".join(str(value).split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."


def _whole(text: str) -> str:
    """Without lone surrogates, which JSON can carry and no file can."""
    return text.encode("utf-8", "replace").decode("utf-8")
