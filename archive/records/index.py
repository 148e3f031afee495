"""The index: an outline and a digest of every proposal, kept in `.git`, so that only changed proposals are read."""

import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from archive.errors import ArchiveError
from archive.files import read_lines
from archive.records.changes import Changes, Commits
from archive.records.kept import Further, Kept, Known, Look, Row, in_order
from archive.records.lines import History, ProposalLine, line_of
from archive.records.outline import Outline, read_outline
from archive.records.places import group_named, proposal_place, proposal_places
from evaluator.outcomes import CurvePoint, Status, Trial
from evaluator.statistics.lazy_trials import Digest, LazyTrials
from evaluator.statistics.scorecards import lazy_trials

LARGE = 3_000
"""An archive of so many proposals is looked at in whole once in LASTS seconds."""
LASTS = 600.0
T = TypeVar("T")
_FILES = ("proposal.json", "scorecard.json", "check.json", "trials.jsonl")


class _Curveless(Trial):
    """A trial without its learning curve, which is most of its text and is not validated here."""

    curve: Annotated[tuple[CurvePoint, ...], BeforeValidator(lambda _: ())] = ()


class ArchiveIndex:
    """All readable proposals of an archive's folder. Safe in threads."""

    def __init__(self, root: Path, git: Path | None = None, commits: Commits | None = None) -> None:
        """Index the archive at `root`. git: its git's folder, where the index is kept; None: it is not kept."""
        self._root = root
        self._changes = Changes(root, git, commits)
        self._kept = Kept(git and git / "archer-index.sqlite")
        self._look: Look | None = None
        """The last look, where it does for the next, too."""
        self._known: dict[str, Known] | None = None
        self._lines: list[ProposalLine] | None = None
        """Those of `_known`, once somebody asked."""
        self._unkept: dict[str, Further] = {}
        """Of proposals that were read here and could not be kept."""
        self._outlines: dict[str, Outline] = {}
        self._runs: dict[str, LazyTrials | None] = {}
        self._lock = threading.RLock()
        self.damage: dict[str, str] = {}
        """What is wrong with each proposal that cannot be read, by folder name."""

    def look(self) -> None:
        """As `refresh`, but of a large archive only at what has changed since it was looked at, if that can be told.

        What is changed without git, by writing into a file in its place, is seen a while later.
        """
        if not self.is_current() and not self._catch_up():
            self.refresh()

    def is_current(self) -> bool:
        """Whether nothing says that something changed since the last look."""
        look = self._look
        return look is not None and look.since <= time.time() < look.until and look.git == self._changes.git_stamp()

    def stays_current(self) -> None:
        """The last look does as long as it would have, though git wrote since: it was told what was committed."""
        with self._lock:
            if self._look is not None:
                git, head = self._changes.git_stamp(), self._changes.head()
                self._look = self._look._replace(git=git, head=head) if git and head else None

    def refresh(self) -> None:
        """Read new and changed proposals, and drop removed proposals."""
        with self._lock:  # also while looking: what another thread tells meanwhile would be missing, and dropped
            since, places, seen = time.time(), proposal_places(self._root), None
            if len(places) >= LARGE:
                seen, places = self._changes.seen(), proposal_places(self._root)
            known = self._kept.load() if self._known is None else self._known
            look = Look(*seen, len(places), since, since + LASTS) if seen else None
            self._update(known, known.keys() | places.keys(), places, look)

    def _catch_up(self) -> bool:
        """Read what changed since the last look, at the beginning that of another archer. False: it cannot be told."""
        with self._lock:
            look = self._kept.look() if self._known is None else self._look
            if look is None or not look.since <= time.time() < look.until:  # a clock may be set back
                return False
            seen = self._changes.seen()
            if seen is None or (suspects := self._changes.suspects(look, seen)) is None:
                return False
            known = self._kept.load() if self._known is None else self._known
            if len(known) < look.proposals:  # it cannot be read
                return False
            asked = suspects.proposals | {i for i in known if suspects.groups and group_named(i) in suspects.groups}
            places = {identity: proposal_place(self._root, identity) for identity in asked}
            there = {identity: place for identity, place in places.items() if (self._root / place).exists()}
            self._look = look
            proposals = len(known.keys() - asked) + len(there)
            self._update(known, asked, there, look._replace(**seen._asdict(), proposals=proposals))
            return True

    def _update(
        self, known: dict[str, Known], asked: Collection[str], places: Mapping[str, str], look: Look | None
    ) -> None:
        """Look at the proposals that are asked for: read those with another stamp, drop those that have no place."""
        stamps = {identity: self.stamp(place) for identity, place in places.items()}
        self.damage = {}
        changed = self._take({i: new for i, new in stamps.items() if i not in known or known[i].stamp != new})
        gone = [identity for identity in asked if identity in known and identity not in places]
        gone += [identity for identity in self.damage if identity in known]
        kept, self._look = self._look, None if self.damage else look
        if changed or gone or self._look not in (None, kept):
            self._keep(changed, gone)
        if self._known is None:
            self._known, self._lines = known, None
        self._put(changed, gone)

    def _put(self, changed: Mapping[str, Row], gone: Iterable[str]) -> None:
        """Hold what changed, and no more what is gone, oldest first."""
        if self._known is not None and (changed or gone):
            known = self._known | {identity: row.known for identity, row in changed.items()}
            for identity in gone:
                del known[identity]
                for held in (self._outlines, self._runs, self._unkept):
                    held.pop(identity, None)
            self._known, self._lines = in_order(known), None

    def take(self, identity: str) -> None:
        """Read one proposal that was just written, as `refresh` would. Nothing is read before the first `refresh`."""
        with self._lock:
            if self._known is not None:
                changed = self._take({identity: self.stamp(proposal_place(self._root, identity))})
                self._keep(changed, ())
                self._put(changed, ())

    def stamp(self, place: str) -> str:
        """Times and sizes of the files of a proposal: another stamp where any of them was written anew."""
        folder, parts = f"{self._root}/{place}/", []
        for name in _FILES:
            try:
                found = os.stat(folder + name)  # noqa: PTH116, a Path takes ten times as long
            except OSError:
                parts.append("-")
            else:
                parts.append(f"{found.st_mtime_ns:x}.{found.st_size:x}")
        return " ".join(parts)

    def lines(self) -> Sequence[ProposalLine]:
        """Lines of all readable proposals, oldest first."""
        with self._lock:
            if self._lines is None:
                self._lines = [known.line for known in (self._known or {}).values()]
            return self._lines

    def raw(self, identity: str) -> dict[str, Any]:
        """The outline of a proposal as plain JSON."""
        with self._lock:
            found: dict[str, Any] = json.loads(self._outline_texts([identity])[identity])
            return found

    def history(self) -> History:
        """All readable proposals, oldest first: their lines now, and the outline of each when it is looked at."""
        return History(self.lines(), self._outlines_of)

    def _outlines_of(self, names: Sequence[str]) -> list[Outline]:
        with self._lock:
            new = [identity for identity in names if identity not in self._outlines]
            for identity, text in self._outline_texts(new).items():
                self._outlines[identity] = Outline.model_validate_json(text)
            return [self._outlines[identity] for identity in names]

    def trials_of(self, identities: Sequence[str]) -> dict[str, LazyTrials]:
        """Lazy trials of those of the proposals that are there, scored or pruned, and have trials, by folder name."""
        with self._lock:
            there = [identity for identity in identities if identity in (self._known or {})]
            for identity, digest in self._digests([i for i in there if i not in self._runs]).items():
                self._runs[identity] = None if digest is None else LazyTrials(digest, self._reader(identity))
            return {identity: runs for identity in there if (runs := self._runs[identity]) is not None}

    def _reader(self, identity: str) -> Callable[[], Sequence[Trial]]:
        return lambda: read_lines(self._root / proposal_place(self._root, identity) / "trials.jsonl", Trial)

    def _take(self, stamps: Mapping[str, str]) -> dict[str, Row]:
        """Read proposals whose files have these stamps; what cannot be read is damage."""
        changed = {}
        for identity, stamp in stamps.items():
            try:
                changed[identity] = self._read(identity, stamp)
            except ArchiveError as error:
                self.damage[identity] = str(error)
            self._outlines.pop(identity, None)
            self._runs.pop(identity, None)
        return changed

    def _keep(self, changed: Mapping[str, Row], gone: Collection[str]) -> None:
        """Keep what changed, and the last look, if all is kept that was seen in it."""
        self._unkept |= {identity: row.further for identity, row in changed.items()}
        if self._kept.keep(changed, gone, None if self._unkept.keys() - changed.keys() else self._look):
            for identity in changed:
                del self._unkept[identity]

    def _stamp_of(self, identity: str) -> str:
        if (found := (self._known or {}).get(identity)) is None:
            raise ArchiveError(f"the proposal {identity} is gone, or cannot be read any more; archer verify")
        return found.stamp

    def _outline_texts(self, names: Sequence[str]) -> dict[str, str]:
        """Outlines as JSON, by folder name."""
        return self._further(names, self._kept.outlines(names), lambda found: found.outline)

    def _digests(self, names: Sequence[str]) -> dict[str, Digest | None]:
        return self._further(names, self._kept.digests(names), lambda found: found.digest)

    def _further(
        self, names: Sequence[str], kept: Mapping[str, tuple[str, T]], value: Callable[[Further], T]
    ) -> dict[str, T]:
        """A value of each of the proposals, by folder name: as kept, if that is of the same files, else read again."""
        found = {}
        for name in names:
            stamp, own = self._stamp_of(name), self._unkept.get(name)
            if own is None and name in kept and kept[name][0] == stamp:
                found[name] = kept[name][1]
            else:
                found[name] = value(own or self._read(name, stamp).further)
        return found

    def _read(self, identity: str, stamp: str) -> Row:
        outline = read_outline(self._root, identity)
        digest = None
        place = proposal_place(self._root, identity)
        trials = read_lines(self._root / place / "trials.jsonl", _Curveless)
        if outline.status in (Status.SCORED, Status.PRUNED) and trials:
            digest = _digest_of(place, trials)
        return Row(Known(stamp, line_of(outline)), Further(outline.model_dump_json(), digest))


def _digest_of(place: str, trials: Sequence[Trial]) -> Digest:
    """The digest of trials. Raises ArchiveError for trials of several variants or protocols."""
    try:
        return lazy_trials(trials).digest
    except ValueError as error:
        raise ArchiveError(f"{place}/trials.jsonl: {error}; restore it with `git checkout`") from error
