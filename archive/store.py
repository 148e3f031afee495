"""The archive: seed variants, proposals and leaderboards of one search, in a git repository."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from filelock import FileLock, Timeout

from archive.claims import NameClaims
from archive.confirmations import (
    CONFIRMATIONS,
    Confirmation,
    confirmation_paths,
    read_confirmations,
    read_fresh_trials,
    write_confirmation,
)
from archive.errors import ArchiveError
from archive.files import read_lines, write_lines, write_text
from archive.git import GitFolder
from archive.git_at_work import GitAtWork
from archive.predictions import BRANCH, Committed, commit_predictions, prediction_problems
from archive.reader import ASKS, TRIALS, Reader
from archive.records.changes import Commits
from archive.records.folders import read_record, rewrite_record, write_record
from archive.records.index import ArchiveIndex
from archive.records.message import message
from archive.records.places import (
    PROPOSALS,
    VARIANTS,
    draft_folders,
    newest_number,
    proposal_of,
    proposal_place,
    proposal_places,
    regrouped,
    variant_place,
)
from archive.records.record import BY_HAND, Exchange, Origin, Proposal, Record, moment
from archive.records.runs import once, run_of
from archive.tables.leaderboards import LEADERBOARDS, write_leaderboard
from archive.unfinished import WRITING, WritingNote
from evaluator.outcomes import Status, Trial

PATIENCE = 3_600.0
"""Seconds to wait for another writer. A merge of a thousand proposals takes minutes, and a search beside it would lose
what it has to tell; the lock of a killed writer is free at once."""
SILENCE = 5.0
"""Seconds after which a line says what is waited for."""
_LOG = logging.getLogger(__name__)


class Archive(Reader):
    """An open archive. A lock makes this process the only writer while it writes. Raises ArchiveError and OSError."""

    def __init__(self, root: Path) -> None:
        """Open the archive at `root`, and clean up after an archer that was killed while it wrote there."""
        super().__init__(root)
        self._git = GitFolder(root)
        self._git_at_work = GitAtWork(root, self._git.folder)
        self._index = ArchiveIndex(root, self._git.folder, Commits(self._git.head, self._proposals_changed_since))
        self._git.adopt_branch(BRANCH)
        self._lock = FileLock(self._git.folder / "archer.lock", timeout=PATIENCE)
        self._claims = NameClaims(self._git.folder / "archer-names")
        self._note = WritingNote(self._git.folder / WRITING)
        if self._note.exists() and self.is_writable:
            with contextlib.suppress(ArchiveError, OSError), self.writing(wait=False):
                pass

    def recover(self) -> list[str]:
        """Clean up after a killed archer: drop half-written folders, commit whole ones that no commit has.

        Returns the folder names of the latter.
        """
        with self.writing():
            self._claims.forget_killed()
            for draft in chain.from_iterable(folder.glob(".tmp-*") for folder in draft_folders(self.root)):
                shutil.rmtree(draft)
            committed = self._contents()
            places = proposal_places(self.root).items()
            new = [i for i, place in places if i not in committed and (self.root / place / "proposal.json").exists()]
            for identity in new:
                record = read_record(self.root, identity)
                paths = list(self._places(record))
                paths += [self._derive(record.protocol)] if record.status is Status.SCORED else []
                self._git.commit(message(record, self.origin(identity)), paths)
        return new

    def _take_back(self) -> None:
        """What a killed writer left: drafts go, paths that it had not committed are as in the last commit again."""
        self._git_at_work.wait()
        folders = [self.root / name for name in (PROPOSALS, VARIANTS, TRIALS, CONFIRMATIONS, ASKS, LEADERBOARDS)]
        of_notes = self._git.folder.glob(".tmp-*")
        for draft in chain(of_notes, *(folder.rglob(".tmp-*") for folder in folders)):
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
        paths, whole = self._note.found()
        if not (whole and (self.root / whole).exists()):
            self._discard(paths)
        self.recover()
        self._note.written()
        self.rebuild_leaderboards()

    def _discard(self, paths: Sequence[str]) -> bool:
        """Take paths back to the last commit; returns whether that came off."""
        self._git.discard(self._changed(paths))
        return not self._changed(paths)

    def _changed(self, paths: Sequence[str]) -> list[str]:
        """Those that differ from the last commit, or have something below them that does; all where git cannot tell."""
        try:
            dirty = self._git.dirty_paths(paths) if paths else []
        except ArchiveError:
            return list(paths)
        return [path for path in paths if any(f"{found}/".startswith(f"{path}/") for found in dirty)]

    @property
    def is_writable(self) -> bool:
        """Whether this process may write into the archive's folder: not on a read-only file system."""
        return os.access(self.root, os.W_OK) and os.access(self._git.folder, os.W_OK)

    @property
    def unfinished(self) -> Path:
        """The file that keeps finished trials until they are archived."""
        return self._git.folder / "archer-unfinished.jsonl"

    @property
    def journal(self) -> Path:
        """The file that keeps raw requests and replies of this archive's searches. It is outside of the git history."""
        return self._git.folder / "archer-journal.jsonl"

    def commit_of(self, record: Record) -> str | None:
        """Hash of the commit that told the record; else of the newest one that touched it."""
        subject, told = message(record).splitlines()[0], None
        if record.proposal.provenance.proposer != BY_HAND:  # one by hand may have been told anew, much later
            told = self._git.commit_about(subject, moment(record.created))
        told = told or self._git.newest_by_subject().get(record.id)
        return told or self._git.last_commit_of(proposal_place(self.root, record.id))

    def commits(self) -> dict[str, str]:
        """As `commit_of`, of each committed record, by folder name. Slow where others committed some of them."""
        told, committed = self._git.newest_by_subject(), self._contents()
        known = {identity: told[identity] for identity in committed if identity in told}
        return known if len(known) == len(committed) else self._git.last_commits_in(PROPOSALS, proposal_of) | known

    def contents(self) -> dict[str, str]:
        """Hash of each proposal's folder, by folder name. Folders that differ from their commit are left out."""
        dirty = self._dirty_proposals()
        return {identity: content for identity, content in self._contents().items() if identity not in dirty}

    def _contents(self) -> dict[str, str]:
        """Hash of each proposal's folder at the last commit, by folder name."""
        top = self._git.contents_of([PROPOSALS])
        inner = [path for path in top if proposal_of(path) is None]
        known = top | (self._git.contents_of(inner) if inner else {})
        found = ((proposal_of(path), content) for path, content in known.items())
        return {identity: content for identity, content in found if identity is not None}

    def _dirty_proposals(self) -> set[str]:
        """Folder names of the proposals of which something differs from the last commit."""
        return set(filter(None, map(proposal_of, self._git.dirty_paths([PROPOSALS]))))

    def _places(self, record: Record) -> tuple[str, str]:
        """Where a record's folder and its variant's file lie, or go."""
        name = record.proposal.variant.name
        return proposal_place(self.root, record.id), variant_place(self.root, name, record.number)

    def claim_name(self, name: str) -> str:
        """A free name like `name`, that nobody else is given until `release_name`. Safe in any thread."""
        with self.writing():
            free = self.free_name(name)
            self._claims.claim(free)
            return free

    def take_up(self, work: str) -> bool:
        """Claim work on the archive, until `release_name`; False where another archer has it.

        work: its name, which no variant has: the folder of an interrupted proposal that is to be ended, for example.
        """
        with self.writing():
            if self._claims.is_claimed(work):
                return False
            self._claims.claim(work)
            return True

    def release_name(self, name: str) -> None:
        """End a claim. A variant that was archived keeps its name without one."""
        self._claims.release(name)

    def _is_taken(self, name: str) -> bool:
        return super()._is_taken(name) or self._claims.is_claimed(name)

    def tell(self, record: Record, report: str) -> Record:
        """Archive a record under the next free number: one folder, one commit. Nothing is left behind on failure."""
        with self.writing():
            return self._tell(record, report, None)

    def retell(self, record: Record, report: str, origin: Origin | None = None) -> Record:
        """Archive anew a proposal that has ended, or has further results, under its number, in a further commit.

        origin: where it ended, if in another archive; `rebuild_leaderboards` is then to be called after all of them.
        """
        derived = self._derived(record) if origin is None else []
        paths = [proposal_place(self.root, record.id), *derived]
        with self.writing(), self._change(paths):
            rewrite_record(self.root, record, report, origin)
            self._commit_record(record, paths, origin)
            return record

    def adopt(self, record: Record, report: str, origin: Origin) -> Record:
        """Archive a proposal of another archive. Call `rebuild_leaderboards` once after all of them."""
        with self.writing():
            return self._tell(record, report, origin)

    def merge_predictions(self, repository: Path) -> None:
        """Merge the predictions of another archive, with the commits that date them."""
        with self.writing():
            self._git.merge_branch(repository, BRANCH)

    def tell_files(self, files: Mapping[str, str], message: str) -> None:
        """Write files, by path relative to the archive, and commit those that changed."""
        with self.writing(), self._change(list(files)):
            for path, text in files.items():
                write_text(self.root / path, text)
            dirty = set(self._git.dirty_paths(list(files))) if files else set()
            if changed := [path for path in files if path in dirty]:
                self._git.commit(message, changed)

    def tell_predictions(self, proposal: Proposal, protocol: str, protocol_hash: str) -> str | None:
        """Commit a proposal's predictions before its first trial; returns the commit's hash, None for no predictions.

        Safe in any thread: the work tree is not touched.
        """
        if not proposal.predictions:
            return None
        with self.writing():
            return commit_predictions(self._git, Committed.of(proposal, protocol, protocol_hash))

    def prediction_times(self) -> dict[str, int]:
        """Time (seconds since 1970) of each commit that holds predictions, by hash."""
        return self._git.history(BRANCH)

    def prediction_problems(self, record: Record, times: Mapping[str, int]) -> Iterator[str]:
        """Evidence that a record's predictions are younger than its first trial. times: `prediction_times()`."""
        return prediction_problems(self._git, record, times, self.origin(record.id))

    def tell_trials(self, trials: Sequence[Trial]) -> None:
        """Archive further trials of one variant. The archive must already have the code of the variant.

        A trial that another archer archived meanwhile is left as it is.
        """
        protocol, name = trials[0].protocol, trials[0].variant
        path = self.root / TRIALS / protocol / f"{name}.jsonl"
        paths = [str(path.relative_to(self.root)), f"{LEADERBOARDS}/{protocol}.csv"]
        with self.writing():
            before = read_lines(path, Trial)
            there = {run_of(trial) for trial in before}
            if not (new := once(trial for trial in trials if run_of(trial) not in there)):
                return
            with self._change(paths):
                write_lines(path, (*before, *new))
                self._derive(protocol)
                self._git.commit(f"Measure {name} under {protocol}", paths)

    def confirmations(self, protocol: str) -> dict[str, Confirmation]:
        """The confirmations under a protocol, by variant."""
        return read_confirmations(self.root, protocol)

    def fresh_trials(self, protocol: str) -> dict[str, tuple[Trial, ...]]:
        """Trials on fresh seeds under a protocol, by variant. No leaderboard uses them."""
        return read_fresh_trials(self.root, protocol)

    def tell_confirmation(self, confirmation: Confirmation, trials: Sequence[Trial]) -> None:
        """Archive a confirmation with its new trials, in one commit. What another archer decided meanwhile stays."""
        paths, name = confirmation_paths(confirmation, trials), confirmation.variant
        with self.writing():
            before = self.confirmations(confirmation.protocol).get(name)
            if before is not None and before.decides(confirmation.protocol_hash):
                return
            with self._change(paths):
                write_confirmation(self.root, confirmation, trials)
                against, protocol, outcome = confirmation.against, confirmation.protocol, confirmation.outcome
                self._git.commit(f"Confirm {name} against {against} under {protocol}: {outcome}", paths)

    def tell_leaderboard(self, name: str, csv: str) -> None:
        """Archive a leaderboard that was published elsewhere."""
        path = f"{LEADERBOARDS}/{name}.csv"
        with self.writing(), self._change([path]):
            write_text(self.root / path, csv)
            if self._git.dirty_paths([path]):
                self._git.commit(f"Import the leaderboard {name}", [path])

    def rebuild_leaderboards(self) -> None:
        """Derive every leaderboard again and commit the changed ones; where that fails, the next archer does."""
        with self.writing():
            try:
                with self._change([f"{LEADERBOARDS}/{protocol}.csv" for protocol in self.protocols()]):
                    paths = [self._derive(protocol) for protocol in self.protocols()]
                    if changed := self._git.dirty_paths(paths) if paths else []:
                        self._git.commit("Rebuild the leaderboards", changed)
            except BaseException:
                self._note.keep()
                raise

    def regroup(self) -> int:
        """Move what lies flat and would lie in folders of some today, in one commit that `git revert` takes back.

        Returns how many proposals and variants were moved. Raises ArchiveError where any of them is not committed.
        """
        self.recover()
        with self.writing():
            if dirty := self._git.dirty_paths([PROPOSALS, VARIANTS]):
                raise ArchiveError(f"{dirty[0]} differs from the last commit; commit it or `git checkout` it first")
            with self._change([PROPOSALS, VARIANTS]):
                moves = regrouped(self.root)
                for old, new in moves.items():
                    (self.root / new).parent.mkdir(exist_ok=True)
                    (self.root / old).rename(self.root / new)
                if moves:
                    self._git.commit(f"Move {len(moves)} proposals and variants into folders", [PROPOSALS, VARIANTS])
        return len(moves)

    def tell_failed_ask(self, created: str, reason: str, exchanges: Sequence[Exchange]) -> None:
        """Archive the exchange of an ask that gave no proposal."""
        path = f"{ASKS}/{created.replace(':', '')}.jsonl"
        with self.writing(), self._change([path]):
            write_lines(self.root / path, exchanges)
            self._git.commit(f"Ask without a proposal: {reason}", [path])

    def git_problems(self) -> Iterator[str]:
        """Problems of the git repository, one line each: a shallow history, damaged objects, links in the tree."""
        return self._git.problems()

    def dirty_paths(self) -> list[str]:
        """Paths that differ from the last commit."""
        return self._git.dirty_paths()

    def _tell(self, record: Record, report: str, origin: Origin | None) -> Record:
        record = record.model_copy(update={"number": newest_number(self.root) + 1})
        derived = self._derived(record) if origin is None else []
        folder, source = self._places(record)
        with self._change([source, *derived], whole=folder):
            write_record(self.root, record, report, origin)
            self._commit_record(record, [folder, source, *derived], origin)
        return record

    def _commit_record(self, record: Record, paths: list[str], origin: Origin | None = None) -> None:
        """Commit the written files of a record, with the leaderboard if that is among them."""
        self._index.take(record.id)
        if any(path in paths for path in self._derived(record)):
            self._derive(record.protocol)
        self._git.commit(message(record, origin), paths)

    def _proposals_changed_since(self, commit: str) -> set[str]:
        return {identity for path in self._git.changed_since(commit) if (identity := proposal_of(path)) is not None}

    def _derived(self, record: Record) -> list[str]:
        """Path of the leaderboard that the record enters, if it enters one."""
        enters = record.trials and record.status is Status.SCORED
        return [f"{LEADERBOARDS}/{record.protocol}.csv"] if enters else []

    @contextmanager
    def _change(self, paths: list[str], whole: str = "") -> Iterator[None]:
        """Write paths and commit them in the body. On failure they are as before.

        So they are for the next archer if this one is killed, unless the folder `whole` is there by then: it appears
        whole, and is committed with them.
        """
        self._note.will_write(paths, whole)
        current = self._index.is_current()
        try:
            yield
        except BaseException:
            if self._discard([*paths, *filter(None, [whole])]):
                self._note.written()
            self._index.refresh()
            raise
        self._note.written()
        if current:
            self._index.stays_current()

    def _derive(self, protocol: str) -> str:
        self.require_sound()
        return write_leaderboard(self.root, protocol, self.trials(protocol))

    @contextmanager
    def writing(self, *, wait: bool = True) -> Iterator[None]:
        """Hold the lock of the only writer over several calls. Contexts may be nested.

        wait: for another writer to end, and log that once; else ArchiveError is raised at once.
        """
        try:
            self._acquire(wait)
        except Timeout as error:
            raise ArchiveError(f"another archer is writing to {self.root}; wait for it to end") from error
        outermost = self._lock.lock_counter == 1
        try:
            if outermost:
                self._begin_writing()
            yield
        finally:
            try:
                if outermost:
                    self._note.end()
            finally:
                self._lock.release()

    def _acquire(self, wait: bool) -> None:
        """Take the lock. Raises Timeout."""
        try:
            self._lock.acquire(timeout=SILENCE if wait else 0)
        except Timeout:
            if not wait:
                raise
            _LOG.warning("another writer has the archive %s: waiting for it to end", self.root)
            self._lock.acquire()

    def _begin_writing(self) -> None:
        self._git_at_work.settle()
        killed = self._note.exists()
        self._note.begin()
        if killed:
            self._take_back()
