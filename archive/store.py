"""The archive: seeds, proposals and leaderboards of one search, in a git repository of its own."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from archive.errors import ArchiveError
from archive.files import first_problem, read_json, read_lines, read_text, write_lines, write_text
from archive.folders import PROPOSALS, VARIANTS, read_record, write_record
from archive.git import GitFolder
from archive.leaderboards import LEADERBOARDS, write_leaderboard
from archive.outline import Outline, read_outline
from archive.predictions import BRANCH, Committed, commit_predictions, prediction_problems
from archive.record import Exchange, Proposal, Record
from evaluator.outcomes import Status, Trial
from variants.contract import Variant

MARKER = "archive.json"
TRIALS = "trials"
ASKS = "asks"
FORMAT = 1
PREDICTIONS = "predictions"
"""The git branch that holds predictions as they were committed before the first trial."""
_ID = re.compile(r"(?P<number>[0-9]{4,9})-(?P<name>[a-z][a-z0-9_]{0,119})")


class Archive:
    """An open archive; this process is its only writer while it tells. Raises ArchiveError and OSError."""

    def __init__(self, root: Path) -> None:
        """Open the archive at `root`."""
        if not (root / MARKER).is_file():
            raise ArchiveError(f"{root} is no archive; name another with --archive, or make one: archer init {root}")
        if (found := read_json(root / MARKER).get("format")) != FORMAT:
            raise ArchiveError(f"{root} has format {found}, this archer reads {FORMAT}; use the archer that made it")
        if link := next(
            (name for name in (PROPOSALS, VARIANTS, TRIALS, LEADERBOARDS, ASKS) if (root / name).is_symlink()), None
        ):
            raise ArchiveError(
                f"{root / link} is a link, and archer writes only inside of an archive; replace it by a folder"
            )
        self.root = root
        self._git = GitFolder(root)
        self._git.adopt_branch(PREDICTIONS)
        self._lock = FileLock(self._git.folder / "archer.lock", timeout=60)
        self._records: dict[str, Record] = {}

    def recover(self) -> list[str]:
        """Finish what a killed archer left: drop half-written folders, commit whole ones; returns those committed."""
        with self._writing():
            for draft in (self.root / PROPOSALS).glob(".tmp-*"):
                shutil.rmtree(draft)
            dirty = {path.split("/")[1] for path in self._git.dirty_paths() if path.startswith(f"{PROPOSALS}/")}
            for identity in sorted(dirty):
                record = read_record(self.root, identity)
                paths = [f"{PROPOSALS}/{identity}", f"{VARIANTS}/{record.proposal.variant.name}.py"]
                paths += [self._derive(record.protocol)] if record.status is Status.SCORED else []
                self._git.commit(_message(record), paths)
        return sorted(dirty)

    def ids(self) -> list[str]:
        """Folder names of all proposals, oldest first."""
        folder = self.root / PROPOSALS
        found = [path.name for path in folder.iterdir() if _ID.fullmatch(path.name)] if folder.exists() else []
        return sorted(found, key=lambda name: int(name.split("-")[0]))

    def outlines(self) -> Iterator[Outline]:
        """What a list shows of each proposal, oldest first; much faster than `records`."""
        return (read_outline(self.root, identity) for identity in self.ids())

    def records(self) -> tuple[Record, ...]:
        """All records, oldest first."""
        return tuple(self._read(identity) for identity in self.ids())

    def record(self, reference: str) -> Record:
        """The record with this number ("7", "0007"), folder name or variant name."""
        wanted = int(reference) if re.fullmatch("[0-9]{1,9}", reference) else None
        for identity in self.ids():
            number, name = identity.split("-", 1)
            if reference in (identity, name) or wanted == int(number):
                return self._read(identity)
        raise ArchiveError(f"no proposal {reference!r} in {self.root}; `archer list` shows those there are")

    @property
    def journal(self) -> Path:
        """Where raw requests and replies of this archive's searches are kept, outside of its history."""
        return self._git.folder / "archer-journal.jsonl"

    def commit_of(self, record: Record | Outline) -> str | None:
        """Hash of the commit that holds the record."""
        return self._git.last_commit_of(f"{PROPOSALS}/{record.id}")

    def commits(self) -> dict[str, str]:
        """Hash of the newest commit that touched it, for every record that has one, by folder name."""
        return self._git.last_commits_in(PROPOSALS)

    def report(self, record: Record) -> str:
        """The record's report, as Markdown."""
        return read_text(self.root / PROPOSALS / record.id / "report.md")

    def variant(self, name: str) -> Variant | None:
        """The variant of this name; None if the archive has no code of it."""
        path = self.root / VARIANTS / f"{name}.py"
        return Variant(name=name, source=read_text(path)) if path.exists() else None

    def contents(self) -> dict[str, str]:
        """A hash of each proposal's folder, by its name; those that differ from their commit are left out."""
        dirty = {path.split("/")[1] for path in self._git.dirty_paths() if path.startswith(f"{PROPOSALS}/")}
        known = self._git.contents_of(PROPOSALS)
        return {identity: content for identity, content in known.items() if identity not in dirty}

    def variants(self) -> dict[str, Variant]:
        """All variants with their code, by name."""
        names = [path.stem for path in sorted((self.root / VARIANTS).glob("*.py"))]
        try:
            return {name: Variant(name=name, source=read_text(self.root / VARIANTS / f"{name}.py")) for name in names}
        except ValidationError as error:
            raise ArchiveError(f"{self.root / VARIANTS}: {first_problem(error)}; rename or remove the file") from error

    def trials(self, protocol: str) -> dict[str, tuple[Trial, ...]]:
        """All trials under one protocol, by variant: of the seeds, of `evaluate --add`, and of the proposals."""
        found = self.further_trials(protocol)
        for record in self.records():
            own = tuple(trial for trial in record.trials if trial.protocol == protocol)
            if own and record.status is Status.SCORED:
                found[record.proposal.variant.name] = found.get(record.proposal.variant.name, ()) + own
        return found

    def further_trials(self, protocol: str) -> dict[str, tuple[Trial, ...]]:
        """Those of them that belong to no proposal: of the seeds and of `evaluate --add`."""
        return {path.stem: read_lines(path, Trial) for path in sorted((self.root / TRIALS / protocol).glob("*.jsonl"))}

    def tell(self, record: Record, report: str) -> Record:
        """Archive a record under the next free number: one folder, one commit. Nothing is left behind on failure."""
        with self._writing():
            record = record.model_copy(update={"number": self._next_number()})
            paths = write_record(self.root, record, report)
            try:
                if record.trials and record.status is Status.SCORED:
                    paths.append(self._derive(record.protocol))
                self._git.commit(_message(record), paths)
            except BaseException:
                self._git.discard(paths)
                raise
        self._records[record.id] = record
        return record

    def tell_predictions(self, proposal: Proposal, protocol: str, protocol_hash: str) -> str | None:
        """Commit a proposal's predictions before its first trial; returns the commit's hash, None for no predictions.

        Safe in any thread: the work tree is not touched.
        """
        if not proposal.predictions:
            return None
        with self._writing():
            return commit_predictions(self._git, Committed.of(proposal, protocol, protocol_hash))

    def prediction_problems(self) -> Iterator[str]:
        """Records whose predictions cannot be shown to have stood before their first trial."""
        history = self._git.history(BRANCH)
        for identity in self.ids():
            for problem in prediction_problems(self._git, self._read(identity), history):
                yield f"{PROPOSALS}/{identity}: {problem}"

    def tell_trials(self, trials: Sequence[Trial]) -> None:
        """Archive further trials of one variant that the archive already has the code of."""
        protocol, name = trials[0].protocol, trials[0].variant
        path = self.root / TRIALS / protocol / f"{name}.jsonl"
        with self._writing():
            write_lines(path, (*read_lines(path, Trial), *trials))
            paths = [str(path.relative_to(self.root)), self._derive(protocol)]
            self._git.commit(f"Measure {name} under {protocol}", paths)

    def tell_leaderboard(self, name: str, csv: str) -> None:
        """Archive a leaderboard that was published elsewhere."""
        path = self.root / LEADERBOARDS / f"{name}.csv"
        with self._writing():
            write_text(path, csv)
            if self._git.dirty_paths():
                self._git.commit(f"Import the leaderboard {name}", [str(path.relative_to(self.root))])

    def rebuild_leaderboards(self) -> None:
        """Derive every protocol's leaderboard anew and commit what changed."""
        with self._writing():
            paths = [self._derive(protocol) for protocol in self.protocols()]
            if changed := [path for path in paths if path in self._git.dirty_paths()]:
                self._git.commit("Rebuild the leaderboards", changed)

    def tell_failed_ask(self, created: str, reason: str, exchanges: Sequence[Exchange]) -> None:
        """Archive the exchange of an ask that gave no proposal."""
        path = self.root / ASKS / f"{created.replace(':', '')}.jsonl"
        with self._writing():
            write_lines(path, exchanges)
            self._git.commit(f"Ask without a proposal: {reason}", [str(path.relative_to(self.root))])

    def protocols(self) -> list[str]:
        """Names of the protocols that the archive has trials of."""
        found = {path.name for path in (self.root / TRIALS).glob("*")}
        return sorted(found | {record.protocol for record in self.records() if record.status is Status.SCORED})

    def dirty_paths(self) -> list[str]:
        """Paths that differ from the last commit."""
        return self._git.dirty_paths()

    def free_name(self, name: str, taken: Sequence[str] = ()) -> str:
        """`name`, or the next of its numbered forms that is neither in the archive nor in `taken`."""
        stem, suffix = name.removesuffix("_in_for_loop"), "_in_for_loop" if name.endswith("_in_for_loop") else ""
        candidate, number = name, 2
        while candidate in taken or (self.root / VARIANTS / f"{candidate}.py").exists():
            candidate, number = f"{stem}_{number}{suffix}", number + 1
        return candidate

    def _derive(self, protocol: str) -> str:
        return write_leaderboard(self.root, protocol, self.trials(protocol))

    def _next_number(self) -> int:
        ids = self.ids()
        return int(ids[-1].split("-")[0]) + 1 if ids else 1

    def _read(self, identity: str) -> Record:
        if identity not in self._records:
            self._records[identity] = read_record(self.root, identity)
        return self._records[identity]

    def _writing(self) -> AbstractContextManager[object]:
        try:
            return self._lock.acquire()
        except Timeout as error:
            raise ArchiveError(f"another archer is writing to {self.root}; wait for it to end") from error


def _message(record: Record) -> str:
    proposal = record.proposal
    parts = [f"{record.id}: {record.status}", proposal.title]
    if record.reason:
        parts.append(record.reason)
    trailers = {
        "Parent": proposal.parent,
        "Status": record.status,
        "Protocol": f"{record.protocol} {record.protocol_hash}",
        "Proposer": proposal.provenance.proposer,
    }
    if record.predicted is not None:
        trailers["Predicted"] = record.predicted
    return "\n\n".join([*map(_line, parts), "\n".join(f"{key}: {_line(value)}" for key, value in trailers.items())])


def _line(text: str) -> str:
    """Text of a proposer or a variant on one line, so that it can neither end a message nor forge a trailer."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
