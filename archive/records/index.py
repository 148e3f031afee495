"""The index: an outline and a digest of every proposal, kept in `.git`, so that only changed proposals are read."""

import json
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from archive.errors import ArchiveError
from archive.files import read_lines
from archive.records.changes import Changes, Commits
from archive.records.kept import Kept, Known, Look, Texts
from archive.records.lines import History, ProposalLine, line_of
from archive.records.outline import Outline, read_outline
from archive.records.places import group_named, proposal_place, proposal_places
from evaluator.outcomes import CurvePoint, Status, Trial
from evaluator.statistics.lazy_trials import Digest, LazyTrials
from evaluator.statistics.scorecards import lazy_trials

LARGE = 3_000
"""An archive of so many proposals is looked at in whole once in LASTS seconds."""
LASTS = 600.0
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
        self._texts: dict[str, Texts] = {}
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
            stamps = {identity: self.stamp(place) for identity, place in places.items()}
            look = Look(*seen, len(stamps), since, since + LASTS) if seen else None
            self._update(self._kept.load() if self._known is None else self._known, stamps, look)

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
            there = {i: self.stamp(place) for i, place in places.items() if (self._root / place).exists()}
            stamps = {i: old.stamp for i, old in known.items() if i not in asked} | there
            self._look = look
            self._update(known, stamps, look._replace(**seen._asdict(), proposals=len(stamps)))
            return True

    def _update(self, known: Mapping[str, Known], stamps: Mapping[str, str], look: Look | None) -> None:
        """Take over what is known and has these stamps, read what has others, and drop what has none."""
        fresh = {i: old for i, stamp in stamps.items() if (old := known.get(i)) is not None and old.stamp == stamp}
        self.damage = {}
        changed = self._take({i: stamp for i, stamp in stamps.items() if i not in fresh})
        gone = known.keys() - fresh.keys() - changed.keys()
        kept, self._look = self._look, None if self.damage else look
        if changed or gone or self._look not in (None, kept):
            self._keep(changed, gone)
        if changed or gone or self._known is None:
            entries = fresh | changed
            self._known = dict(sorted(entries.items(), key=lambda item: (item[1].line.number, item[0])))

    def take(self, identity: str) -> None:
        """Read one proposal that was just written, as `refresh` would. Nothing is read before the first `refresh`."""
        with self._lock:
            if self._known is not None:
                changed = self._take({identity: self.stamp(proposal_place(self._root, identity))})
                self._keep(changed, ())
                self._known |= changed

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

    def lines(self) -> list[ProposalLine]:
        """Lines of all readable proposals, oldest first."""
        with self._lock:
            return [entry.line for entry in (self._known or {}).values()]

    def raw(self, identity: str) -> dict[str, Any]:
        """The outline of a proposal as plain JSON."""
        with self._lock:
            found: dict[str, Any] = json.loads(self._column("outline", [self._entry(identity)])[identity])
            return found

    def history(self) -> History:
        """All readable proposals, oldest first: their lines now, and the outline of each when it is looked at."""
        return History(self.lines(), self._outlines_of)

    def _outlines_of(self, names: Sequence[str]) -> list[Outline]:
        with self._lock:
            entries = [self._entry(identity) for identity in names]
            new = [entry for entry in entries if entry.id not in self._outlines]
            for identity, text in self._column("outline", new).items():
                self._outlines[identity] = Outline.model_validate_json(text)
            return [self._outlines[identity] for identity in names]

    def trials_of(self, identities: Sequence[str]) -> dict[str, LazyTrials]:
        """Lazy trials of those of the proposals that are there, scored or pruned, and have trials, by folder name."""
        with self._lock:
            there = [identity for identity in identities if identity in (self._known or {})]
            new = [self._entry(identity) for identity in there if identity not in self._runs]
            for identity, digest in self._column("digest", new).items():
                self._runs[identity] = (
                    None if digest is None else LazyTrials(Digest.from_json(digest), self._reader(identity))
                )
            return {identity: runs for identity in there if (runs := self._runs[identity]) is not None}

    def _reader(self, identity: str) -> Callable[[], Sequence[Trial]]:
        return lambda: read_lines(self._root / proposal_place(self._root, identity) / "trials.jsonl", Trial)

    def _take(self, stamps: Mapping[str, str]) -> dict[str, Known]:
        """Read proposals whose files have these stamps; what cannot be read is damage."""
        changed = {}
        for identity, stamp in stamps.items():
            try:
                changed[identity], self._texts[identity] = self._read(identity, stamp)
            except ArchiveError as error:
                self.damage[identity] = str(error)
            self._outlines.pop(identity, None)
            self._runs.pop(identity, None)
        return changed

    def _keep(self, changed: Mapping[str, Known], gone: Collection[str]) -> None:
        """Keep what changed, and the last look, if all is kept that was seen in it."""
        unkept = self._texts.keys() - changed.keys()
        rows = [(entry, self._texts[i]) for i, entry in changed.items()]
        if self._kept.keep(rows, gone, None if unkept else self._look):
            for identity in changed:
                del self._texts[identity]

    def _entry(self, identity: str) -> Known:
        if (found := (self._known or {}).get(identity)) is None:
            raise ArchiveError(f"the proposal {identity} is gone, or cannot be read any more; archer verify")
        return found

    def _column(self, name: Literal["outline", "digest"], entries: Sequence[Known]) -> dict[str, Any]:
        """One text of each of the proposals, by folder name: as kept, if that is of the same files, else read again."""
        here = {entry.id: self._texts[entry.id] for entry in entries if entry.id in self._texts}
        asked = [entry for entry in entries if entry.id not in here]
        kept = self._kept.texts(name, {entry.id for entry in asked}) if asked else {}
        found = {identity: getattr(texts, name) for identity, texts in here.items()}
        for identity, stamp, _ in asked:
            if identity in kept and kept[identity][0] == stamp:
                found[identity] = kept[identity][1]
            else:
                found[identity] = getattr(self._read(identity, stamp)[1], name)
        return found

    def _read(self, identity: str, stamp: str) -> tuple[Known, Texts]:
        outline = read_outline(self._root, identity)
        digest = None
        place = proposal_place(self._root, identity)
        trials = read_lines(self._root / place / "trials.jsonl", _Curveless)
        if outline.status in (Status.SCORED, Status.PRUNED) and trials:
            digest = _digest_of(place, trials)
        return Known(identity, stamp, line_of(outline)), Texts(outline.model_dump_json(), digest)


def _digest_of(place: str, trials: Sequence[Trial]) -> str:
    """The digest of trials as JSON. Raises ArchiveError for trials of several variants or protocols."""
    try:
        return lazy_trials(trials).digest.to_json()
    except ValueError as error:
        raise ArchiveError(f"{place}/trials.jsonl: {error}; restore it with `git checkout`") from error
