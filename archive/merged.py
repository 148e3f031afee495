"""What a merge did."""

from dataclasses import dataclass, field


@dataclass
class Merged:
    """What a merge did."""

    head: str
    """The other archive's commit."""
    added: list[tuple[str, str]] = field(default_factory=list)
    """Each new proposal's id here, and there."""
    known: int = 0
    """Proposals that were here already."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Variants whose names were taken here: name there -> name here."""
    trials: int = 0
    """Trials of seeds, of `evaluate --add` and of confirmations that were new."""
    confirmations: int = 0
    """Results on fresh seeds that were new."""
    conflicts: int = 0
    """Trials and confirmations that were here with another result; this archive's were kept."""
    apart: dict[str, list[str]] = field(default_factory=dict)
    """Versions of protocols, by name, that are not today's: their proposals are kept, and on no leaderboard."""
    ignored: int = 0
