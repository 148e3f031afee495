"""The newest state of an archive that was verified whole, noted in `.git`, and what came or changed since then."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from pydantic import ValidationError

from archive.errors import ArchiveError
from archive.files import read_bytes, write_text
from archive.git import GitFolder
from archive.predictions import BRANCH
from archive.records.places import proposal_of, variant_of
from archive.store import Archive
from evaluator.values import Value

NOTE = "archer-verified.json"


class State(Value):
    """The commits of an archive at a moment: that of the work tree, and the tips of the predictions."""

    head: str
    predictions: tuple[str, ...]


@dataclass(frozen=True)
class Verified:
    """A state of an archive in which everything was read and nothing was wrong."""

    archive: Archive
    git: GitFolder
    note: State

    @classmethod
    def of(cls, archive: Archive) -> Self | None:
        """The noted state; None where none is noted, or the history was rewritten since."""
        git = GitFolder(archive.root)
        try:
            note = State.model_validate_json(read_bytes(git.folder / NOTE))
            git.require_ancestor(note.head)
        except (ArchiveError, ValidationError):
            return None
        return cls(archive, git, note)

    def changed_proposals(self) -> list[str]:
        """Folder names of the proposals whose files or code changed, or are not committed; oldest first."""
        paths = {*self.git.changed_since(self.note.head), *self.archive.dirty_paths()}
        folders, names = set(map(proposal_of, paths)), set(map(variant_of, paths))
        return [each for each in self.archive.ids() if each in folders or each.split("-", 1)[1] in names]

    def git_problems(self) -> Iterator[str]:
        """One line per damaged object that came since, and per link among the changed files."""
        return self.git.problems_since([self.note.head, *self.note.predictions], self.note.head, [BRANCH])


def state_of(archive: Archive) -> State | None:
    """The state that an archive has now; None where its git cannot say."""
    git = GitFolder(archive.root)
    with contextlib.suppress(ArchiveError):
        return State(head=git.head(), predictions=tuple(git.tips(BRANCH)))
    return None


def note_verified(archive: Archive, state: State | None) -> None:
    """Note that all of this state was read and is as it should be. An archive that cannot be written has no note.

    state: from before the reading began, since another archer may have told something meanwhile.
    """
    with contextlib.suppress(OSError):
        if state is not None:
            write_text(GitFolder(archive.root).folder / NOTE, state.model_dump_json() + "\n")
