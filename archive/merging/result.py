"""The result of a merge."""

from dataclasses import dataclass, field


@dataclass
class Merged:
    """The result of a merge: what was added, renamed or left out."""

    head: str
    """The other archive's commit."""
    added: list[tuple[str, str]] = field(default_factory=list)
    """Each new proposal's id in this archive and in the other archive."""
    further: list[tuple[str, str]] = field(default_factory=list)
    """The same of each proposal that was interrupted here, and is now as it went on in the other archive."""
    known: int = 0
    """Number of proposals that were here already."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Variants whose names were taken here: name in the other archive -> name here."""
    trials: int = 0
    """Number of new trials of seed variants, of `evaluate --add` and of confirmations."""
    confirmations: int = 0
    """Number of new results on fresh seeds."""
    conflicts: int = 0
    """Number of trials and confirmations that were here with another result. The local result was kept."""
    apart: dict[str, list[str]] = field(default_factory=dict)
    """By protocol, hashes of versions that are not current. Their proposals are kept, and are on no leaderboard."""
    ignored: int = 0
