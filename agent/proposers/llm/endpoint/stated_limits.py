"""How many tokens an endpoint takes, as its list of models or its refusals state it: numbers found in many wordings."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StatedLimits:
    """Tokens; None where nothing is said."""

    window: int | None = None
    """Prompt and reply together."""
    reply: int | None = None
    prompt: int | None = None
    counted: int | None = None
    """What the refused prompt was counted as."""

    @property
    def any(self) -> bool:
        """Whether a limit is stated."""
        return (self.window or self.reply or self.prompt) is not None


_N = r"(?<!\d)(\d+)(?!\d)(?! ?[-+] ?\d)"
_IS = r"(?: is| of|:|=|\()?[\s(:=]*(?:only |at most |just |up to )?\(?"
_OUTPUT = r"(?:max_tokens|max_completion_tokens|max_new_tokens|max_output_tokens|maxoutputtokens|maximum tokens)"
_GIVEN = r"(?:\W{0,3}\d+\)?)?"
_AT_MOST = (
    r"(?:less than or equal to|<=|≤|at most|no (?:more|greater|larger|higher) than|(?:not|cannot|can't) (?:be )?"
    r"(?:exceed(?:ing)?|greater than|larger than|more than)|exceeds(?: the)?(?: model)?(?: limit| maximum)(?: of)?"
    r"|up to|maximum(?: allowed)?(?: value)?(?: of| is|:)?|limit(?:ed)?(?: is| of| to|:)?)"
)
_BELOW = r"(?:less than|lower than|smaller than|<)"

_SUM = rf"inputs tokens \+ {_OUTPUT} must be (?:<=|≤|at most) {_N}"
_WINDOW = (
    _SUM,
    r"\d+ ?\+ ?\d+ ?> ?(\d+)",
    rf"(?:(?:context|sequence)(?:'s)?[ _](?:window|length|size|limit|len)|model(?:'s)?[ _](?:length|len)){_IS}{_N}",
    rf"{_N}[ -]?(?:tokens? )?(?:token )?(?:maximum |max |model )*context",
    rf"length is \d+ (?:tokens )?while (?:the )?limit is {_N}",
    rf"n_ctx\W{{1,4}}{_N}",
    rf"limit:? {_N},? requested:? \d+",
)
_REPLY = (
    rf"(?:at most|supports?|allows?|maximum(?: of)?|limit(?:ed)?(?: of| to)?|up to|only) {_N} "
    r"(?:completion|output|new|generated)",
    rf"{_N}, which is the maximum allowed number of output",
    r"range is from \d+ \(inclusive\) to (?P<below>\d+) \(exclusive\)",
    rf"range is from \d+ \(inclusive\) to {_N} \(inclusive\)",
    rf"range[^\[]{{0,40}}{_OUTPUT}[^\[]{{0,40}}\[ ?\d+ ?, ?{_N} ?\]",
    rf"{_OUTPUT}[^\[.]{{0,60}}range[^\[]{{0,40}}\[ ?\d+ ?, ?{_N} ?\]",
    rf"{_OUTPUT} ?> ?{_N} (?:must|need|require)",
    rf"{_OUTPUT}{_GIVEN}[^\d.]{{0,60}}?{_AT_MOST} {_N}",
    rf"{_OUTPUT}{_GIVEN}[^\d.]{{0,60}}?{_BELOW} (?P<below>\d+)(?!\d)(?! ?-)",
    rf"(?:maximum|max|highest|limit)[^.\d]{{0,30}}{_OUTPUT}(?: value)?(?: is|:|=| of)? {_N}",
    rf"tokens you requested exceeds the model limit of {_N}",
    rf"(?:output|completion) tokens(?: allowed| supported)?(?: for this model)?(?: limit)?(?: is|:| of)? "
    rf"(?:at most |limited to )?{_N}",
    rf"can only afford {_N}",
)
_PROMPT = (
    rf"maximum (?:prompt|input) length{_IS}{_N}",
    r"inputs must have less than (?P<below>\d+) tokens",
    rf"input token count.{{0,40}}maximum number of tokens allowed \(?{_N}",
    rf"\d+ tokens? > {_N} maximum",
    rf"tokens in the prompt cannot exceed {_N}",
    rf"range of input length should be \[ ?\d+ ?, ?{_N} ?\]",
    rf"max(?:imum)?[ _]input[ _]tokens{_IS}{_N}",
)
_COUNTED = (
    rf"{_N} (?:tokens )?(?:in the messages|in your prompt|of text input|from the input|in the prompt)",
    rf"(?<!at least ){_N} (?:input|prompt|inputs) tokens",
    rf"messages resulted in {_N}",
    rf"prompt contains {_N}",
    rf"input token count \(?{_N}",
    rf"request \({_N} tokens\)",
    rf"n_prompt_tokens\W{{1,4}}{_N}",
    rf"prompt is too long: {_N}",
    rf"prompt[^.]{{0,40}} - received {_N}",
    rf"(?:input|prompt) \((?:length )?{_N}(?: tokens)?\)",
    rf"request contains {_N} tokens",
    r"(\d+) ?\+ ?\d+ ?> ?\d+",
    rf"length is {_N} (?:tokens )?while",
)
_OVERFLOW = re.compile(
    r"context.?(length|size|window|limit)|exceed_context|maximum context|too many tokens|prompt is too long"
    r"|input is too long|reduce the length|request (is )?(entity )?too large|payload too large"
    r"|longer than the (maximum )?model",
    re.IGNORECASE,
)
_REPLY_TOO_LONG = re.compile(
    rf"{_OUTPUT}\W.{{0,40}}(too (large|high|big|long)|exceed|must be (less|smaller|lower)|greater than)"
    rf"|(?:reduce|lower) .{{0,20}}{_OUTPUT}",
    re.IGNORECASE,
)


def read_refusal(said: str) -> StatedLimits:
    """What a refusal states, whoever worded it. Sources: error messages as servers and gateways document them."""
    text = _plain(said)
    window = _smallest(_WINDOW, text)
    rest = re.sub(_SUM, " ", text)
    return StatedLimits(window, _smallest(_REPLY, rest), _smallest(_PROMPT, text), _first(_COUNTED, text))


def is_overflow(said: str) -> bool:
    """Whether a refusal is about the length of prompt and reply, with numbers or without."""
    return _OVERFLOW.search(said) is not None


def is_reply_too_long(said: str) -> bool:
    """Whether a refusal is about the limit on the reply being too high."""
    return _REPLY_TOO_LONG.search(_plain(said)) is not None


def read_model_card(card: Mapping[str, Any]) -> StatedLimits:
    """What an entry of `/v1/models` states of its model, under the names that servers give it."""
    numbers = list(_numbers(card))
    return StatedLimits(
        window=min((value for name, value in numbers if name in _CARD_WINDOW), default=None),
        reply=min((value for name, value in numbers if name in _CARD_REPLY), default=None),
        prompt=min((value for name, value in numbers if name in _CARD_PROMPT), default=None),
    )


_COUNT = re.compile(r"[0-9]{1,15}(?:\.0)?")
_CARD_WINDOW = frozenset(
    {
        "max_model_len",
        "context_length",
        "context_window",
        "context_size",
        "max_context_length",
        "loaded_context_length",
        "max_context_window_tokens",
        "max_context_tokens",
        "max_total_tokens",
        "max_sequence_length",
        "max_seq_len",
        "n_ctx",
    }
)
_CARD_REPLY = frozenset({"max_completion_tokens", "max_output_tokens", "output_token_limit", "outputtokenlimit"})
_CARD_PROMPT = frozenset({"max_input_tokens", "max_prompt_tokens", "input_token_limit", "inputtokenlimit"})


def _numbers(card: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, int]]:
    for name, value in card.items():
        if isinstance(value, Mapping) and depth < 3:
            yield from _numbers(value, depth + 1)
        elif isinstance(value, int | float | str) and not isinstance(value, bool) and _COUNT.fullmatch(str(value)):
            number = int(float(value))
            if number > 0:
                yield name.lower(), number


def _plain(said: str) -> str:
    """Lower case, without marks around names, separators of thousands, and numbers that are longer than any limit."""
    text = re.sub(r"\d{16,}", "", re.sub(r"[`'\"*]", "", said.lower()))
    text = re.sub(r"(?<![\[\d.,])(\d{1,3}(?:,\d{3})+)(?![\d,])", lambda found: found[1].replace(",", ""), text)
    return " ".join(text.split())


def _smallest(patterns: tuple[str, ...], text: str) -> int | None:
    found = [_number(match) for pattern in patterns for match in re.finditer(pattern, text)]
    return min((number for number in found if number > 0), default=None)


def _first(patterns: tuple[str, ...], text: str) -> int | None:
    return next((_number(match) for pattern in patterns if (match := re.search(pattern, text))), None)


def _number(match: re.Match[str]) -> int:
    below = match.groupdict().get("below")
    return int(below) - 1 if below else int(match[1])
