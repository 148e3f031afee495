"""How long prompt and reply may be at one endpoint: as set, and shorter where the endpoint turns out to take less."""

import re
import threading
from dataclasses import dataclass, replace

from agent.proposers.llm.configuration.settings import Form
from agent.proposers.llm.endpoint.stated_limits import StatedLimits, is_overflow, is_reply_too_long, read_refusal

LEAST_REPLY: dict[Form, int] = {"code": 1_000, "structured": 300}
"""Tokens below which a reply cannot hold what is asked for; scripted replies need 1700 and 280."""
SLACK = 64
"""Tokens that a chat template puts around the messages."""
SHRINK = 0.7
"""What is left of a prompt, or of a reply, that was refused although it keeps to what is stated."""
SHRINK_UNSTATED = 0.5
"""What is left of both together where no limit is stated."""
_LEAST_LIMIT = 16
_NUMBER = re.compile(r"(?<![\w.\-])\d{3,7}(?![\w\-]|\.\d)")


@dataclass(frozen=True)
class _Known:
    window: int | None = None
    reply: int | None = None
    prompt: int | None = None
    guessed: bool = False
    """Whether the window is archer's guess."""
    ratio: float = 1.0
    """The endpoint's tokens for one of archer's estimate."""
    measured: bool = False
    """Whether the endpoint has told the length of a prompt."""


class TokenLimits:
    """Thread-safe. All lengths are in tokens; those of prompts are `estimate_tokens` of the messages."""

    def __init__(self, context_tokens: int, reply_tokens: int, least_reply: int) -> None:
        self._context = context_tokens
        self._reply = reply_tokens
        self._least = least_reply
        self._lock = threading.Lock()
        self._known = _Known()

    @property
    def window(self) -> int | None:
        """Prompt and reply together, as the endpoint states it."""
        return self._known.window

    @property
    def prompt_budget(self) -> int:
        """How long a prompt should be: half of a narrow window is kept for the reply."""
        return self._prompt_beside(self._wanted())

    @property
    def longest_prompt(self) -> int:
        """How long a prompt can be at most: the reply beside it is the shortest that can do."""
        return self._prompt_beside(self._least)

    def reply_tokens(self, prompt: int) -> int:
        """The limit on the reply to a prompt of this length."""
        known = self._known
        limit = min(self._reply, known.reply or self._reply)
        return limit if known.window is None else max(1, min(limit, self._room(prompt)))

    def fits(self, prompt: int) -> bool:
        """Whether a prompt of this length leaves room for a reply."""
        return prompt <= self.longest_prompt

    def enough(self, prompt: int) -> bool:
        """Whether the reply to a prompt of this length may be long enough to hold what is asked for."""
        return self.reply_tokens(prompt) >= self._least

    def state(self, stated: StatedLimits) -> None:
        """Take what the endpoint states of its model."""
        with self._lock:
            self._known = _with(self._known, stated)

    def learn(self, said: str, prompt: int, reply: int) -> str | None:
        """Learn from the refusal of a prompt and a limit on its reply; what is kept to now, in words.

        None if the refusal is about neither. After it the same request is never made again: prompt or reply is shorter.
        """
        stated = read_refusal(said)
        if not (stated.any or is_overflow(said) or is_reply_too_long(said)):
            return None
        with self._lock:
            known = _with(self._known, stated if stated.any else _guessed(said, prompt, reply))
            if stated.counted:
                ratio = max(1.02 * stated.counted / prompt, 0.5)
                if stated.counted < (known.window or known.prompt or 0):
                    ratio = min(ratio, 4.0)  # more is no length of this prompt
                known = replace(known, ratio=max(ratio, known.ratio) if known.measured else ratio, measured=True)
            self._known = known
            if prompt <= self.longest_prompt and self.reply_tokens(prompt) >= reply:
                self._known = _tighter(known, said, prompt, reply)
            return self._told()

    def _wanted(self) -> int:
        """The limit on a reply that prompts leave room for."""
        known = self._known
        limit = min(self._reply, known.reply or self._reply)
        return limit if known.window is None else min(limit, max(known.window // 2, self._least))

    def _prompt_beside(self, reply: int) -> int:
        known, budget = self._known, float(self._context)
        if known.window is not None:
            budget = min(budget, (known.window - min(reply, self._reply, known.reply or reply) - SLACK) / known.ratio)
        if known.prompt is not None:
            budget = min(budget, known.prompt / known.ratio)
        return int(budget)

    def _room(self, prompt: int) -> int:
        return int((self._known.window or 0) - prompt * self._known.ratio - SLACK)

    def _told(self) -> str:
        known = self._known
        parts = {"prompt and reply": known.window, "a reply": known.reply, "a prompt": known.prompt}
        told = [f"{what} of at most {limit} tokens" for what, limit in parts.items() if limit]
        return "keeping to " + ", ".join(told)


def _with(known: _Known, stated: StatedLimits) -> _Known:
    def less(old: int | None, new: int | None) -> int | None:
        limits = [limit for limit in (old, new) if limit is not None and limit >= _LEAST_LIMIT]
        return min(limits, default=None)

    return replace(
        known,
        window=less(known.window, stated.window),
        guessed=known.guessed and stated.window is None,
        reply=less(known.reply, stated.reply),
        prompt=less(known.prompt, stated.prompt),
    )


def _guessed(said: str, prompt: int, reply: int) -> StatedLimits:
    """The limit among the numbers of a wording that nobody knows: less than what was asked for."""
    numbers = [int(found[0]) for found in _NUMBER.finditer(said.replace(",", ""))]
    if is_reply_too_long(said):
        return StatedLimits(reply=max((number for number in numbers if number < reply), default=None))
    return StatedLimits(window=min((n for n in numbers if n != reply and n < prompt + reply), default=None))


def _tighter(known: _Known, said: str, prompt: int, reply: int) -> _Known:
    """A step down where the endpoint states nothing that is not kept to already."""
    if is_reply_too_long(said) and not is_overflow(said):
        return replace(known, reply=max(int(reply * SHRINK), 1))
    if known.guessed or (known.window is None and known.prompt is None):
        return replace(known, window=int((prompt * known.ratio + reply) * SHRINK_UNSTATED), guessed=True)
    return replace(known, ratio=known.ratio / SHRINK)
