"""Keeps the key out of everything that is written: replies, errors, exchanges and journal."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

SHORTEST_SECRET = 8
"""Servers without authentication take any key ("x", "EMPTY"): replacing those would shred ordinary text."""

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY_KEY = re.compile(r"(?i)(?<=[?&])([\w-]*(?:key|token|secret)[\w-]*=)([^&\s#]+)")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_SECRET_OPTION = re.compile(
    r"(?i)(bearer\s+|[\w-]*(?:key|token|secret|password)[\w-]*[\s=:]+)(?!-)[^\s'\"]{8,}"
    r"|\b(?:sk|pk|hf|gh[pousr]|xox[bp])[-_][\w-]{12,}"
)


class Scrubber:
    """Replaces keys by a marker in any nesting of dicts, lists and strings."""

    def __init__(self, *keys: str) -> None:
        forms = {form for key in keys if len(key) >= SHORTEST_SECRET for form in (key, quote(key, safe=""))}
        self._secrets = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without the key."""
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return text

    def value(self, value: Any) -> Any:
        """The JSON-like value without the key, in its dictionary keys too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def public_url(url: str) -> str:
    """The URL without user, password or key parameters."""
    return _QUERY_KEY.sub(r"\1[key]", _USERINFO.sub("", url))


def public_command(command: str) -> str:
    """A command line as it may be printed and archived: on one line, without what looks like a key."""
    line = public_url(" ".join(command.split()))
    return _SECRET_OPTION.sub(lambda found: f"{found[1] or ''}[key]", line)


def secrets_in_url(url: str) -> tuple[str, ...]:
    """Password and key parameters of a URL."""
    passwords = [found[0].rstrip("@").partition(":")[2] for found in _USERINFO.finditer(url)]
    return (*passwords, *(unquote(found[2]) for found in _QUERY_KEY.finditer(url)))


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of an environment that by their names nobody else may see."""
    return tuple(value for name, value in environment.items() if _SECRET_NAME.search(name))
