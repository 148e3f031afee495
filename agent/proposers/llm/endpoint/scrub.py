"""Keeps the key out of everything that is written: replies, errors, exchanges and journal."""

import re
from typing import Any
from urllib.parse import quote

SHORTEST_SECRET = 8
"""Servers without authentication take any key ("x", "EMPTY"): replacing those would shred ordinary text."""

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY_KEY = re.compile(r"(?i)(?<=[?&])([\w-]*(?:key|token|secret)[\w-]*=)[^&\s#]+")


class Scrubber:
    """Replaces a key, and credentials inside of URLs, by a marker in any nesting of dicts, lists and strings."""

    def __init__(self, key: str) -> None:
        forms = {key, quote(key, safe="")} if len(key) >= SHORTEST_SECRET else set()
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
