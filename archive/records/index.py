"""The index: an outline and a digest of every proposal, kept in `.git`, so that only changed proposals are read."""

import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from archive.errors import ArchiveError
from archive.files import read_lines
from archive.records.folders import PROPOSALS
from archive.records.kept import Kept, Known
from archive.records.outline import Outline, read_outline
from evaluator.outcomes import CurvePoint, Score, Status, Trial
from evaluator.statistics.lazy_trials import Digest, LazyTrials
from evaluator.statistics.scorecards import lazy_trials

_STATUS = {str(status): status for status in Status}
_FILES = ("proposal.json", "scorecard.json", "check.json", "trials.jsonl")


class ProposalLine(NamedTuple):
    """One proposal as a line of a list. mean: mean accuracy over the tasks; None without a score."""

    id: str
    number: int
    name: str
    parent: str
    status: Status
    mean: float | None
    proposer: str
    model: str | None
    protocol: str
    protocol_hash: str
    created: str
    cpu_seconds: float
    no_effect: bool


class _Curveless(Trial):
    """A trial without its learning curve, which is most of its text and is not validated here."""

    curve: Annotated[tuple[CurvePoint, ...], BeforeValidator(lambda _: ())] = ()


class ArchiveIndex:
    """All readable proposals of an archive's folder. Safe in threads."""

    def __init__(self, root: Path, kept: Path | None = None) -> None:
        """Index the archive at `root`. kept: the file that keeps the index; None: the index is not kept."""
        self._root = root
        self._kept = Kept(kept)
        self._known: dict[str, Known] | None = None
        self._outlines: dict[str, Outline] = {}
        self._runs: dict[str, LazyTrials] = {}
        self._lock = threading.Lock()
        self.damage: dict[str, str] = {}
        """What is wrong with each proposal that cannot be read, by folder name."""

    def refresh(self, identities: Iterable[str]) -> None:
        """Read new and changed proposals, and drop removed proposals. identities: folder names of all proposals."""
        with self._lock:
            known = self._kept.load() if self._known is None else self._known
            self.damage = {}
            fresh: dict[str, Known] = {}
            changed = []
            for identity in identities:
                stamp = self._stamp(identity)
                if (old := known.get(identity)) is not None and old.stamp == stamp:
                    fresh[identity] = old
                    continue
                try:
                    fresh[identity] = self._read(identity, stamp)
                    changed.append(fresh[identity])
                    self._outlines.pop(identity, None)
                    self._runs.pop(identity, None)
                except ArchiveError as error:
                    self.damage[identity] = str(error)
            self._known = fresh
            if changed or len(fresh) < len(known):
                self._kept.keep(changed, known.keys() - fresh.keys())

    def lines(self) -> list[ProposalLine]:
        """Lines of all readable proposals, oldest first."""
        found = [json.loads(entry.line) for entry in self._all()]
        return [ProposalLine._make((*fields[:4], _STATUS[fields[4]], *fields[5:])) for fields in found]

    def raw(self, identity: str) -> dict[str, Any]:
        """The outline of a proposal as plain JSON."""
        found: dict[str, Any] = json.loads(self._entry(identity).outline)
        return found

    def outlines(self) -> Iterator[Outline]:
        """Outlines of all readable proposals, oldest first."""
        for entry in self._all():
            if entry.id not in self._outlines:
                self._outlines[entry.id] = Outline.model_validate_json(entry.outline)
            yield self._outlines[entry.id]

    def trials_of(self, identity: str) -> LazyTrials | None:
        """Lazy trials of a scored or pruned proposal; None if the proposal has no such trials."""
        entry = self._entry(identity)
        if entry.digest is None:
            return None
        if identity not in self._runs:
            path = self._root / PROPOSALS / identity / "trials.jsonl"
            self._runs[identity] = LazyTrials(_digest(entry.digest), lambda: read_lines(path, Trial))
        return self._runs[identity]

    def _all(self) -> list[Known]:
        return list((self._known or {}).values())

    def _entry(self, identity: str) -> Known:
        return (self._known or {})[identity]

    def _stamp(self, identity: str) -> str:
        folder, parts = f"{self._root}/{PROPOSALS}/{identity}/", []
        for name in _FILES:
            try:
                found = os.stat(folder + name)  # noqa: PTH116, a Path takes ten times as long
            except OSError:
                parts.append("-")
            else:
                parts.append(f"{found.st_mtime_ns:x}.{found.st_size:x}")
        return " ".join(parts)

    def _read(self, identity: str, stamp: str) -> Known:
        outline = read_outline(self._root, identity)
        proposal, digest = outline.proposal, None
        asked = (proposal.provenance.proposer, proposal.provenance.model, outline.protocol, outline.protocol_hash)
        named = (identity, outline.number, proposal.variant.name, proposal.parent, outline.status, outline.mean)
        line = ProposalLine._make((*named, *asked, outline.created, outline.cost.cpu_seconds, outline.no_effect))
        trials = read_lines(self._root / PROPOSALS / identity / "trials.jsonl", _Curveless)
        if outline.status in (Status.SCORED, Status.PRUNED) and trials:
            digest = _digest_of(identity, trials)
        return Known(identity, stamp, json.dumps(line), outline.model_dump_json(), digest)


def _digest_of(identity: str, trials: Sequence[Trial]) -> str:
    """The digest of trials as JSON. Raises ArchiveError for trials of several variants or protocols."""
    try:
        return lazy_trials(trials).digest.model_dump_json()
    except ValueError as error:
        raise ArchiveError(f"{PROPOSALS}/{identity}/trials.jsonl: {error}; restore it with `git checkout`") from error


def _digest(text: str) -> Digest:
    """The digest from its JSON. It was validated when it was written, so it is not validated again, which is slow."""
    content = json.loads(text)
    content["accuracies"] = {
        task: {int(seed): accuracy for seed, accuracy in found.items()}
        for task, found in content["accuracies"].items()
    }  # fmt: skip
    content["scores"] = {task: Score.model_construct(**found) for task, found in content["scores"].items()}
    return Digest.model_construct(**content)
