"""Reading an archive's folder: records, variants, trials. Needs no git and writes nothing."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from archive.errors import ArchiveError
from archive.files import M, first_problem, read_bytes, read_json, read_lines, read_text
from archive.lazy_mapping import LazyMapping
from archive.names import find_name
from archive.records.folders import ORIGIN, read_record
from archive.records.index import ArchiveIndex
from archive.records.lines import History, ProposalLine
from archive.records.places import (
    PROPOSALS,
    VARIANTS,
    proposal_place,
    proposal_places,
    proposals_numbered,
    variant_place,
    variant_places,
)
from archive.records.record import Exchange, Origin, Record, moment
from archive.records.runs import once
from archive.tables.leaderboards import LEADERBOARDS
from evaluator.outcomes import CheckReport, Status, Trial
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.statistics.lazy_trials import LazyTrials, comparable
from evaluator.statistics.scorecards import lazy_trials
from variants.contract import Variant

MARKER = "archive.json"
MAKING = ".archer-making"
"""A file that is in an archive's folder until the archive is made whole."""
TRIALS = "trials"
ASKS = "asks"
FORMAT = 1
MAX_NAME = 120
PROTOCOL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
"""A protocol's name is part of a path."""
_NUMBERED = re.compile(r"(?:(?<=Z)|(?<=[+-][0-9]{4}))-[0-9]+\Z")


def is_unfinished(root: Path) -> bool:
    """Whether an archive is being made in this folder, or was when archer was killed."""
    return (root / MAKING).is_file()


class Reader:
    """The content of an archive's folder. Raises ArchiveError that names the file at fault."""

    def __init__(self, root: Path) -> None:
        """Read the archive at `root`."""
        if root.exists() and not root.is_dir():
            raise ArchiveError(f"{root} is a file, and an archive is a folder; name the folder with --archive")
        if is_unfinished(root):
            raise ArchiveError(f"{root} is no whole archive: archer was stopped as it made it; archer init {root}")
        if not (root / MARKER).is_file():
            empty = root.is_dir() and not any(root.iterdir())
            way = (
                f", or make one: archer init {root}" if empty or not root.exists() else "; a new one needs a new folder"
            )
            raise ArchiveError(f"{root} is no archive; name another with --archive{way}")
        if (found := read_json(root / MARKER).get("format")) != FORMAT:
            raise ArchiveError(f"{root} has format {found}, this archer reads {FORMAT}; use the archer that made it")
        for name in (PROPOSALS, VARIANTS, TRIALS, LEADERBOARDS, ASKS):
            if (root / name).is_symlink():
                raise ArchiveError(f"{root / name} is a link, and archer writes only inside of an archive; replace it")
        self.root = root
        self._records: dict[str, tuple[str, Record]] = {}
        self._further: dict[Path, tuple[str, tuple[Trial, ...]]] = {}
        self._index = ArchiveIndex(root)
        self._moment = _Moment()

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Look for changed proposals once, however much is read inside, in this thread. Contexts may be nested."""
        self._moment.depth += 1
        try:
            yield
        finally:
            self._moment.depth -= 1
            self._moment.looked = self._moment.looked and self._moment.depth > 0

    def held(self) -> Self:
        """This reader at one moment for good: for a command that only reads, in one thread."""
        self._moment.depth += 1
        return self

    def look_anew(self) -> None:
        """Look at all files now, also those of a large archive that was looked at a moment ago."""
        self._index.refresh()
        self._moment.looked = self._moment.depth > 0

    def ids(self) -> list[str]:
        """Folder names of all proposals, oldest first."""
        return list(proposal_places(self.root))

    def failed_asks(self) -> list[datetime]:
        """When each failed ask was archived, oldest first. Raises ArchiveError where a file's name does not say it."""
        return [_moment(path) for path in sorted((self.root / ASKS).glob("*.jsonl"))]

    def failed_exchanges(self) -> Iterator[tuple[Exchange, ...]]:
        """What was asked and answered in each ask that gave no proposal, oldest first. Raises ArchiveError."""
        for path in sorted((self.root / ASKS).glob("*.jsonl")):
            yield read_lines(path, Exchange)

    def lines(self) -> Sequence[ProposalLine]:
        """Lines of all readable proposals, oldest first."""
        return self._refreshed().lines()

    def history(self) -> History:
        """All readable proposals, oldest first: their lines, and outlines that are read when they are looked at.

        Much faster than `records`.
        """
        return self._refreshed().history()

    def raw_outline(self, identity: str) -> dict[str, Any]:
        """The outline of a readable proposal as plain JSON. identity: its folder name."""
        return self._index.raw(identity)

    def damage(self) -> dict[str, str]:
        """The problem of each unreadable proposal, by folder name."""
        return self._refreshed().damage

    def require_sound(self) -> None:
        """Raise ArchiveError if a proposal cannot be read. Call it before deriving or deciding something from all."""
        for problem in self.damage().values():
            raise ArchiveError(problem)

    def records(self) -> tuple[Record, ...]:
        """All records, oldest first."""
        return tuple(self._read(identity) for identity in self.ids())

    def record(self, reference: str) -> Record:
        """The record with this number ("7", "0007"), folder name, variant name or short name."""
        identity = self.identity(reference)
        if identity is None and (name := find_name(reference, self.variant_names())) is not None:
            raise ArchiveError(
                f"{name} is a variant that no proposal made; `archer versus {reference}` shows its scores, "
                f"`archer diff {reference}` its change, `archer export {reference}` its code"
            )
        if identity is None:
            raise ArchiveError(f"no proposal {reference!r} in {self.root}; `archer list` shows those there are")
        return self._read(identity)

    def identity(self, reference: str) -> str | None:
        """Folder name of the proposal with this number, folder name, variant name or short name; None without one.

        Raises ArchiveError for a short name of several proposals.
        """
        if numbered := re.fullmatch("([0-9]{1,9})(-.*)?", reference):
            there = proposals_numbered(self.root, int(numbered[1]))
            return next((identity for identity in there if reference == identity or numbered[2] is None), None)
        by_name = {identity.split("-", 1)[1]: identity for identity in self.ids()}
        found = find_name(reference, by_name)
        return None if found is None else by_name[found]

    def origin(self, identity: str) -> Origin | None:
        """Where a merged proposal comes from; None for a proposal that was made here."""
        return self._if_there(identity, ORIGIN, Origin)

    def report(self, record: Record) -> str:
        """The record's report, as Markdown."""
        return read_text(self.root / proposal_place(self.root, record.id) / "report.md")

    def check(self, identity: str) -> CheckReport | None:
        """What the checks found of a proposal, read alone; None for a proposal that was not checked."""
        return self._if_there(identity, "check.json", CheckReport)

    def _if_there(self, identity: str, name: str, model: type[M]) -> M | None:
        """One file of a proposal, read alone; None where the proposal has none of that name."""
        path = self.root / proposal_place(self.root, identity) / name
        if not path.exists():
            return None
        try:
            return model.model_validate_json(read_bytes(path))
        except ValidationError as error:
            raise ArchiveError(f"{path}: {first_problem(error)}; restore it with `git checkout`") from error

    def variant_names(self) -> list[str]:
        """Names of all variants that the archive has the code of, in alphabetical order."""
        return list(variant_places(self.root))

    def variant(self, name: str) -> Variant | None:
        """The variant of this name; None if the archive has no code of it. Raises ArchiveError."""
        path = self.root / variant_place(self.root, name)
        return _read_variant(path) if path.exists() else None

    def variants(self) -> Mapping[str, Variant]:
        """All variants by name. The code of each is read when it is looked at, which raises ArchiveError."""
        places = variant_places(self.root)
        return LazyMapping(places, lambda name: _read_variant(self.root / places[name]))

    def trials(self, protocol: str) -> dict[str, Sequence[Trial]]:
        """Trials under one protocol, by variant: of seed variants, of `evaluate --add` and of scored proposals.

        Of a protocol that archer knows, they are of its current version, because others do not compare. Trials of a
        proposal are read on first access. Unreadable proposals are left out.
        """
        proposed: dict[str, Sequence[Trial]] = dict(self._proposed_trials(protocol, Status.SCORED))
        further: dict[str, Sequence[Trial]] = {
            name: once((*own, *proposed.pop(name))) if name in proposed else own
            for name, own in self.further_trials(protocol).items()
        }
        if protocol in PROTOCOLS:  # those of proposals are of its version already
            further = {name: lazy_trials(own) for name, own in comparable(further, PROTOCOLS[protocol].hash).items()}
        return {**further, **proposed}

    def pruned_trials(self, protocol: str, newest: int | None = None) -> dict[str, Sequence[Trial]]:
        """Trials of pruned proposals, by variant, of the versions that `trials` has. newest: of so many alone."""
        return dict(self._proposed_trials(protocol, Status.PRUNED, newest))

    def _proposed_trials(self, protocol: str, status: Status, newest: int | None = None) -> dict[str, LazyTrials]:
        index, version = self._refreshed(), PROTOCOLS[protocol].hash if protocol in PROTOCOLS else None
        its = (line for line in index.lines() if line.status is status and line.protocol == protocol)
        lines = [line for line in its if version in (None, line.protocol_hash)]
        names = {line.id: line.name for line in lines[-newest if newest else None :]}
        return {names[identity]: own for identity, own in index.trials_of(list(names)).items()}

    def further_trials(self, protocol: str) -> dict[str, tuple[Trial, ...]]:
        """Trials that belong to no proposal (seed variants, `evaluate --add`), of any version, by variant."""
        return {path.stem: self._read_trials(path) for path in sorted((self.root / TRIALS / protocol).glob("*.jsonl"))}

    def _read_trials(self, path: Path) -> tuple[Trial, ...]:
        """The trials of a file, read again only when it changed."""
        found = path.lstat()  # a link is refused below
        stamp = f"{found.st_mtime_ns} {found.st_size} {found.st_ino}"
        if self._further.get(path, ("",))[0] != stamp:
            self._further[path] = stamp, read_lines(path, Trial)
        return self._further[path][1]

    def protocols(self) -> list[str]:
        """Names of the protocols under which the archive has trials."""
        found = {path.name for path in (self.root / TRIALS).glob("*")}
        return sorted(found | {line.protocol for line in self.lines() if line.status is Status.SCORED})

    def free_name(self, name: str, taken: Sequence[str] = ()) -> str:
        """`name`, or the next of its numbered forms that is neither in the archive nor in `taken`."""
        return next(form for form in _forms(name) if form not in taken and not self._is_taken(form))

    def name_of(self, variant: Variant) -> str:
        """The name that the archive has this very code under: its own or a numbered form of it; else its own."""
        there = ((form, self.variant(form)) for form in _forms(variant.name))
        known = takewhile(lambda each: each[1] is not None, there)
        return next((form for form, found in known if found and found.source == variant.source), variant.name)

    def _is_taken(self, name: str) -> bool:
        return (self.root / variant_place(self.root, name)).exists()

    def _refreshed(self) -> ArchiveIndex:
        if not self._moment.looked:
            self._index.look()
            self._moment.looked = self._moment.depth > 0
        return self._index

    def _read(self, identity: str) -> Record:
        """A record, read again only when it changed: another archer may have told how it ended."""
        stamp = self._index.stamp(proposal_place(self.root, identity))
        if self._records.get(identity, ("",))[0] != stamp:
            self._records[identity] = stamp, read_record(self.root, identity)
        return self._records[identity][1]


class _Moment(threading.local):
    """Whether a thread reads the archive at one moment, and has looked for changes in it."""

    depth, looked = 0, False


def _forms(name: str) -> Iterator[str]:
    """`name`, then `name_2`, `name_3` and so on, with the number before the end that names of variants have."""
    stem, suffix = name.removesuffix("_in_for_loop"), "_in_for_loop" if name.endswith("_in_for_loop") else ""
    yield name
    for number in count(2):
        end = f"_{number}{suffix}"
        yield f"{stem[: MAX_NAME - len(end)]}{end}"


def _read_variant(path: Path) -> Variant:
    """The variant of a file. Raises ArchiveError for a name or a code that no variant can have."""
    try:
        return Variant(name=path.stem, source=read_text(path))
    except ValidationError as error:
        raise ArchiveError(f"{path}: {first_problem(error)}; rename or remove the file") from error


def _moment(path: Path) -> datetime:
    """When an ask was archived, by its file's name; one that a merge brought may have a number at its end."""
    try:
        return moment(_NUMBERED.sub("", path.stem))
    except ValueError as error:
        raise ArchiveError(f"{path} should be named by when it was asked; restore it with `git checkout`") from error
