"""Renames variants in a record that moves to an archive where some of the names are taken. Every link follows."""

import re
from collections.abc import Mapping
from typing import Any

from archive.records.record import Proposal, Record
from variants.contract import short_name

_LINKS = ("name", "parent", "second_parent", "against", "variant", "inherited_from", "duplicate_of", "parents")
_TEXTS = (
    "title",
    "insights",
    "motivation",
    "mathematics",
    "differences",
    "next_steps",
    "why",
    "reason",
    "message",
    "claim",
)
_VERBATIM = ("source", "exchanges", "mechanisms", "evidence", "usage", "versions")
"""Fields that keep their old names: code, and what was sent, received or computed."""


def renamed_record(record: Record, names: Mapping[str, str]) -> Record:
    """The record with every link and every mention of a variant under its new name."""
    return record if not names else Record.model_validate(_renamed(record.model_dump(mode="json"), "", names))


def renamed_proposal(proposal: Proposal, names: Mapping[str, str]) -> Proposal:
    """The proposal with every link and every mention of a variant under its new name."""
    return proposal if not names else Proposal.model_validate(_renamed(proposal.model_dump(mode="json"), "", names))


def renamed_text(text: str, names: Mapping[str, str]) -> str:
    """The text with new names, for full names and for short names between backticks."""
    if not names:
        return text
    ideas = {f"`{short_name(old)}`": f"`{short_name(new)}`" for old, new in names.items()}
    full = {old: new for old, new in names.items() if "_" in old}
    words = "|".join(re.escape(old) for old in sorted(full, key=len, reverse=True))
    pattern = "|".join([*map(re.escape, ideas), *([rf"(?<![A-Za-z0-9_])(?:{words})(?![A-Za-z0-9_])"] if words else [])])
    known = ideas | full
    return re.sub(pattern, lambda found: known[found.group()], text)


def _renamed(value: Any, key: str, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {k: v if k in _VERBATIM else _renamed(v, k, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(item, key, names) for item in value]
    if not isinstance(value, str):
        return value
    if key == "links":  # of a notebook: full names or short ones
        return names.get(value, {short_name(old): short_name(new) for old, new in names.items()}.get(value, value))
    if key in _LINKS:
        return names.get(value, value)
    return renamed_text(value, names) if key in _TEXTS else value
