"""Which model to ask and within what limits: the command line's options plus the environment's key."""

import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from agent.proposers.llm.configuration.scrub import public_command, public_url
from agent.proposers.llm.errors import EndpointError

Form = Literal["code", "structured"]

OPENAI_URL = "https://api.openai.com/v1"
KEY_VARIABLE = "OPENAI_API_KEY"
URL_VARIABLE = "OPENAI_BASE_URL"
COMPLETIONS = "/chat/completions"
"""What archer adds to a base URL; people paste it with the rest."""
SMALLEST_CODER = 14.0
"""Billions of parameters below which `auto` asks for the structured form: smaller models were measured to choose
mechanisms at best, and never to write a correct kernel."""

_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)(b|m)(?![a-z0-9])", re.IGNORECASE)

_DURATION = re.compile(r"(?<!\S)\d+m(?!\S)")
"""A word of a command line, as in `timeout 5m`, that is no size."""


class LLMSettings(BaseModel):
    """All options of the language-model proposer. Unknown ones are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = OPENAI_URL
    """With a query, as Azure's `?api-version=...`, that is sent with every request."""
    model: str | None = None
    """None: the one model that the endpoint offers."""
    key: SecretStr = SecretStr("")
    form: Literal["auto", "code", "structured"] = "auto"
    context_tokens: int = Field(default=32_000, ge=1_000)
    """Budget of a prompt, reply not included."""
    reply_tokens: int = Field(default=16_000, ge=200)
    deadline_seconds: float = Field(default=1_800, gt=0)
    """Limit on one ask or repair in all: attempts, waits between them and corrections."""
    attempt_seconds: float = Field(default=600, gt=0)
    """Limit on one HTTP request in all, however slowly its reply trickles in."""
    stall_seconds: float = Field(default=60, gt=0)
    """How long a stream may be silent once its first token has come."""
    attempts: int = Field(default=4, ge=1)
    """HTTP requests for one reply, where the endpoint is broken or unreachable; one that is busy is waited for."""
    max_usd: float | None = Field(default=None, ge=0)
    prompts: Path | None = None
    prices: Path | None = None
    journal: Path | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    """None: the endpoint's own."""
    command: str | None = Field(default=None, min_length=1)
    """A program that is asked in place of an endpoint, as the shell takes it."""
    free: bool = False
    """True of a server on this machine: its calls cost no money, which is knowledge, not a default."""

    @field_validator("base_url")
    @classmethod
    def _http(cls, url: str) -> str:
        if not re.match(r"https?://[^/\s]", url):
            raise ValueError("a base URL starts with http:// or https://, as in https://host/v1")
        address, mark, query = url.partition("#")[0].partition("?")
        return address.rstrip("/").removesuffix(COMPLETIONS).rstrip("/") + mark + query

    @field_validator("key")
    @classmethod
    def _header(cls, key: SecretStr) -> SecretStr:
        # Said here, because the HTTP library's own complaint would quote the key.
        if not re.fullmatch(r"[!-~]*", key.get_secret_value()):
            raise ValueError(f"the key in {KEY_VARIABLE} holds a space or a character that is not ASCII")
        return key

    @classmethod
    def resolve(cls, environ: MutableMapping[str, str], key: str | None = None, **options: object) -> Self:
        """Settings from options (None: not given) and the environment, whose key is withdrawn unless `key` was before.

        Raises EndpointError for an option that is no good or a key that is missing.
        """
        given = {name: value for name, value in options.items() if value is not None}
        given.setdefault("base_url", environ.get(URL_VARIABLE) or OPENAI_URL)
        try:
            settings = cls.model_validate({"key": withdraw_key(environ) if key is None else key, **given})
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise EndpointError(f"option {'.'.join(map(str, first['loc']))}: {_wanted(first)}") from None
        if settings.base_url == OPENAI_URL and not settings.key.get_secret_value() and settings.command is None:
            raise EndpointError(
                f"no key for {OPENAI_URL}: set {KEY_VARIABLE}, or name another endpoint with --base-url, "
                "or run a local model with --gguf, or a program with --command, or use --proposer evolve"
            )
        return settings

    @property
    def address(self) -> str:
        """The base URL without its query."""
        return self.base_url.partition("?")[0]

    @property
    def query(self) -> dict[str, object]:
        """What the base URL asks to send with every request."""
        pairs = parse_qs(self.base_url.partition("?")[2], keep_blank_values=True)
        return {name: values[-1] for name, values in pairs.items()}

    @property
    def azure(self) -> bool:
        """Whether the key goes into Azure's own header, too."""
        host = urlsplit(self.base_url).hostname or ""
        return "api-version" in self.query or host.endswith(".azure.com")

    @property
    def deployment(self) -> str | None:
        """The model that the address itself names, as Azure's does; or the command."""
        if self.command is not None:
            return public_command(self.command)
        found = re.search(r"/deployments/([^/?]+)", self.address)
        return unquote(found[1]) if found else None

    @property
    def public_url(self) -> str:
        """The base URL without credentials, as it may be printed and archived."""
        return "the command" if self.command is not None else public_url(self.base_url)


def _wanted(problem: Mapping[str, Any]) -> str:
    """What is wrong with an option, in words that need no knowledge of the validator."""
    said = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "it should be")
    return f"{said}; `archer propose --help` and docs/llm.md tell the options" if "Extra inputs" in said else said


def withdraw_key(environ: MutableMapping[str, str]) -> str:
    """Take the key *out of* the environment and return it, "" where there is none.

    Whatever this process starts later (git, training, a model server) inherits the environment: the key must not.
    """
    return environ.pop(KEY_VARIABLE, "").strip()


def form_for(settings: LLMSettings, model: str) -> Form:
    """The form of reply to ask `model` for: as set, or by the size that its name states, code where it states none."""
    if settings.form != "auto":
        return settings.form
    size = _SIZE.search(model if settings.command is None else _DURATION.sub("", model))
    if size is None:
        return "code"
    billions = float(size[1]) / (1000 if size[2].lower() == "m" else 1)
    return "structured" if billions < SMALLEST_CODER else "code"
