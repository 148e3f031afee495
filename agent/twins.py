"""Which variants are already known to compute what: fingerprints of the seeds and of an archive's proposals."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from evaluator.checks.fingerprint import Fingerprint, same
from variants.contract import Variant
from variants.leaderboard import PUBLISHED
from variants.seeds import seed_variants

if TYPE_CHECKING:
    from archive.store import Archive

SHIPPED = PUBLISHED.with_name("fingerprints.json")


class Twins:
    """Fingerprints by name. Seeds come first, so that a duplicate is linked to its oldest twin."""

    def __init__(self, archive: "Archive | None") -> None:
        """Know the seeds whose code is the shipped one, and every proposal of `archive` that passed its checks."""
        self._known: dict[str, Fingerprint] = {}
        shipped = json.loads(SHIPPED.read_text(encoding="utf-8")) if SHIPPED.exists() else {}
        for name, variant in seed_variants().items():
            if (found := shipped.get(variant.source_hash)) is not None:
                self._known[name] = tuple(found)
        for record in archive.records() if archive is not None else ():
            if record.check is not None and record.check.fingerprint:
                self._known.setdefault(record.proposal.variant.name, record.check.fingerprint)

    def find(self, fingerprint: Fingerprint) -> str | None:
        """Name of the oldest variant with this fingerprint."""
        return next((name for name, known in self._known.items() if same(known, fingerprint)), None)

    def of(self, name: str) -> Fingerprint:
        """The fingerprint of this variant; empty where it is not known."""
        return self._known.get(name, ())

    def of_others(self, variant: Variant) -> Callable[[Fingerprint], str | None]:
        """`find` that leaves out the variant of this name, so that a known file is no duplicate of itself."""
        others = {name: known for name, known in self._known.items() if name != variant.name}
        return lambda fingerprint: next((name for name, known in others.items() if same(known, fingerprint)), None)
