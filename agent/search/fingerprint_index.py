"""Finds a known variant that computes the same: fingerprints of the seed variants and of an archive's proposals.

The fingerprints of an archive are kept in a file in `.git`, so a command on a large archive reads only new proposals.
"""

import contextlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from archive.records.places import proposal_places
from archive.tables.leaderboard_csv import PUBLISHED
from evaluator.checks.fingerprint import (
    PROBES_HASH,
    SOME,
    WIDTH,
    Fingerprint,
    FingerprintTable,
    Prints,
    Twin,
    multiple,
    unscaled,
)
from evaluator.outcomes import Status
from variants.contract import Variant
from variants.seeds import seed_variants

if TYPE_CHECKING:
    from archive.store import Archive

SHIPPED = PUBLISHED.with_name("fingerprints.json")
FEW = 32
"""With fewer new proposals than this, the kept file is not rewritten; the next command reads them again."""


class FingerprintIndex:
    """An index of fingerprints, oldest variants first, so that a duplicate is linked to the oldest equal variant."""

    def __init__(self, archive: "Archive | None") -> None:
        """Index the seed variants with unchanged code, and every proposal of `archive` that passed its checks.

        Interrupted proposals are left out, because they may be proposed again. So are fingerprints of other probes,
        which do not compare.
        """
        names, prints = _seeds()
        if archive is not None:
            names, prints = _with_proposals(archive, names, prints)
        self._index = FingerprintTable(names, prints)
        self._unscaled = FingerprintTable(names, self._index.prints, unscaled)

    def find(self, fingerprint: Fingerprint, but: str | None = None) -> Twin | None:
        """The oldest variant other than `but` with this fingerprint, else with a multiple of it; None for none."""
        if (same := self._index.find(fingerprint, but)) is not None:
            return Twin(same)
        if len(fingerprint) != WIDTH:
            return None
        found = self._unscaled.find(unscaled(np.array([fingerprint]))[0].tolist(), but)
        scale = multiple(fingerprint, self.of(found)) if found is not None else None
        return Twin(found, scale) if found is not None and scale is not None else None

    def of(self, name: str) -> Fingerprint:
        """The fingerprint of the variant of this name; empty if the index lacks it."""
        rows = [row for row, known in enumerate(self._index.names) if known == name]
        found = self._index.prints[rows[0]] if rows else np.empty(0)
        return () if np.isnan(found).any() else tuple(found.tolist())

    def of_others(self, variant: Variant) -> Callable[[Fingerprint], Twin | None]:
        """A `find` that ignores the name of `variant`, so that an archived variant is no duplicate of itself."""
        return lambda fingerprint: self.find(fingerprint, but=variant.name)


def kept_at(archive: "Archive") -> Path:
    """The file that keeps the fingerprints of an archive. It is derived, and outside of the git history."""
    return archive.root / ".git" / "archer-fingerprints.npz"


def _seeds() -> tuple[list[str], Prints]:
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    prints = content["prints"] if content["probes"] == PROBES_HASH else {}
    known = {name: prints[v.source_hash] for name, v in seed_variants().items() if v.source_hash in prints}
    return list(known), np.array(list(known.values()), dtype=np.float64).reshape(-1, WIDTH)


def _with_proposals(archive: "Archive", names: list[str], seeds: Prints) -> tuple[list[str], Prints]:
    """The seeds, then names and fingerprints of all proposals, oldest first. A row of NaN, which matches none: without.

    One array of them all, which takes memory enough in a large archive.
    """
    stamps = _stamps(archive.root)
    every = np.full((len(seeds) + len(stamps), WIDTH), np.nan)
    every[: len(seeds)] = seeds
    _fill(every[len(seeds) :], archive, stamps)
    return names + [identity.split("-", 1)[1] for identity in stamps], every


def _fill(prints: Prints, archive: "Archive", stamps: dict[str, int]) -> None:
    """Set the rows of `prints`, one for each proposal, from the kept file and from what it lacks."""
    kept, rows = _load(kept_at(archive))
    places = {identity: row for row, (identity, stamp) in enumerate(kept.items()) if stamps.get(identity) == stamp}
    ours = np.array([row for row, identity in enumerate(stamps) if identity in places], dtype=np.intp)
    theirs = np.array([places[identity] for identity in stamps if identity in places], dtype=np.intp)
    for start in range(0, len(ours), SOME):
        prints[ours[start : start + SOME]] = rows[theirs[start : start + SOME]]
    new = [(row, identity) for row, identity in enumerate(stamps) if identity not in places]
    interrupted = {line.id for line in archive.lines() if line.status is Status.INTERRUPTED} if new else set()
    for row, identity in new:
        if identity not in interrupted:
            prints[row] = _print_of(archive, identity)
    if len(new) >= FEW:
        _keep(kept_at(archive), stamps, prints)


def _print_of(archive: "Archive", identity: str) -> Prints:
    check = archive.check(identity)
    usable = check is not None and check.probes == PROBES_HASH and len(check.fingerprint) == WIDTH
    return np.array(check.fingerprint) if check is not None and usable else np.full(WIDTH, np.nan)


def _stamps(root: Path) -> dict[str, int]:
    """Modification time (ns) of each proposal's folder, by folder name, oldest proposal first."""
    places = proposal_places(root).items()
    return {identity: os.stat(f"{root}/{place}").st_mtime_ns for identity, place in places}  # noqa: PTH116


def _load(path: Path) -> tuple[dict[str, int], Prints]:
    """The kept fingerprints; empty if the file is missing or damaged, or has other probes."""
    with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile), np.load(path) as content:
        identities = bytes(content["identities"]).decode().split("\n")
        stamps, prints = content["stamps"].tolist(), content["prints"]
        if bytes(content["probes"]).decode() == PROBES_HASH and prints.shape == (len(identities), WIDTH):
            return dict(zip(identities, stamps, strict=True)), prints
    return {}, np.empty((0, WIDTH))


def _keep(path: Path, stamps: dict[str, int], prints: Prints) -> None:
    identities, probes = (np.frombuffer(x.encode(), dtype=np.uint8) for x in ("\n".join(stamps), PROBES_HASH))
    with contextlib.suppress(OSError):  # a read-only archive is read again each time
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix="archer-", suffix=".npz")
        with os.fdopen(handle, "wb") as stream:
            values = np.array(list(stamps.values()), dtype=np.int64)
            np.savez(stream, identities=identities, stamps=values, prints=prints, probes=probes)
        Path(temporary).replace(path)
