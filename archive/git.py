"""The git operations that an archive needs, only on a repository that belongs to the archive."""

import configparser
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from git import Repo
from git.exc import GitCommandError, InvalidGitRepositoryError, NoSuchPathError

from archive.errors import ArchiveError, GitMissingError

# Set by git around hooks and aliases; inherited, they would send our commits into the caller's repository.
_REDIRECTING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE")
_LINKS = ("120000", "160000")
"""Modes of links and of other repositories."""
_SETTINGS = (
    *("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false"),
    *("-c", "index.version=4"),  # of a new archive: half as large, and every commit reads and writes it a few times
)


class GitFolder:
    """A git work tree. Every method raises ArchiveError with git's own words when git refuses."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open the repository whose work tree is exactly `path`, never one of a parent folder. create: make it."""
        for name in _REDIRECTING:
            os.environ.pop(name, None)
        if shutil.which("git") is None:
            raise GitMissingError
        try:
            self._repo = (
                Repo.init(path, initial_branch="main") if create else Repo(path, search_parent_directories=False)
            )
        except (InvalidGitRepositoryError, NoSuchPathError) as error:
            raise ArchiveError(
                f"{path} is a folder, but no git repository, so it is no whole archive; copy or clone it with its .git"
            ) from error
        except (ValueError, configparser.Error) as error:  # GitPython reads some of git's files itself
            problem = " ".join(str(error).split())[:300]
            raise ArchiveError(f"git's files in {path} are damaged ({problem}); clone the archive again") from error
        except GitCommandError as error:
            raise ArchiveError(f"git cannot make a repository in {path}: {_words(error)}") from error

    @property
    def folder(self) -> Path:
        """Git's folder: `.git`, or the folder of a linked work tree. A clone does not copy archer's files in it."""
        return Path(self._repo.git_dir)

    def adopt_branch(self, name: str) -> None:
        """Make a missing local branch from `origin/NAME`, so that a clone of this clone has the branch too."""
        ours, theirs = f"refs/heads/{name}", f"refs/remotes/origin/{name}"
        if (self.folder / ours).exists() or self._git("for-each-ref", "--format=%(refname)", ours, theirs) != theirs:
            return
        with contextlib.suppress(ArchiveError):  # a clone that cannot be written is still read
            self._git("branch", "--no-track", name, theirs)

    def commit(self, message: str, paths: list[str]) -> str:
        """Commit exactly `paths` (relative to the work tree); returns the commit's hash.

        `git commit` looks at every file of the work tree, which takes seconds where there are a hundred thousand
        proposals. So the commit is made of git's index, unless that holds more than the paths.
        """
        self._git("add", "--force", "--", *paths)
        if not self._born() or (self.folder / "MERGE_HEAD").exists() or self._staged_besides(paths):
            self._git(*self._identity(), "commit", "--quiet", "--no-verify", "--message", message, "--", *paths)
            return self.head()
        before, tree_before = self._git("rev-parse", "HEAD", "HEAD^{tree}").split()
        tree, text = self._git("write-tree"), self._git("stripspace", text=message)
        if tree == tree_before:
            raise ArchiveError(f"nothing to commit in {self._repo.working_dir}: {', '.join(paths)} did not change")
        commit = self._git(*self._identity(), "commit-tree", tree, "-p", before, "-m", text)
        self._git("update-ref", "-m", f"commit: {text.splitlines()[0]}", "HEAD", commit, before)
        self._keep_up()
        return commit

    def _keep_up(self) -> None:
        """The upkeep that `git commit` starts where it is needed, unless the user wants none, with a commit graph."""
        with contextlib.suppress(ArchiveError):  # it can wait for the next commit
            if self._git("config", "--type=bool", "--default", "true", "--get", "maintenance.auto") == "true":
                self._git("-c", "maintenance.commit-graph.enabled=true", "maintenance", "run", "--auto", "--quiet")

    def _staged_besides(self, paths: Sequence[str]) -> bool:
        """Whether git's index differs from the last commit elsewhere than at these paths."""
        staged = self._git("diff-index", "--cached", "--name-only", "-z", "--no-renames", "HEAD").split("\0")
        return any(not f"{path}/".startswith(tuple(f"{own}/" for own in paths)) for path in staged if path)

    def commit_aside(self, branch: str, path: str, text: str, message: str) -> str:
        """Commit one file to another branch and keep its other files. Work tree and index stay unchanged.

        path: a name, or `FOLDER/NAME`.
        """
        parent = next(iter(self.tips(branch)), "")
        blob = self._git("hash-object", "-w", "--stdin", text=text)
        tree = self._tree_with(parent, path, f"100644 blob {blob}")
        parents = ("-p", parent) if parent else ()
        commit = self._git(*self._identity(), "commit-tree", tree, *parents, "-m", message)
        local = self._git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        self._git("update-ref", f"refs/heads/{branch}", commit, local or "0" * 40)
        return commit

    def _tree_with(self, tree: str, path: str, about: str) -> str:
        """A tree like `tree` (of no entries if empty) in which `path` is what `about` says: mode, kind and hash."""
        entries, (name, _, inner) = self._entries(tree), path.partition("/")
        if inner:
            below = entries.get(name, "")
            about = f"040000 tree {self._tree_with(below.split()[2] if below else '', inner, about)}"
        return self._make_tree(entries | {name: f"{about}\t{name}"})

    def _make_tree(self, entries: Mapping[str, str]) -> str:
        return self._git("mktree", text="\n".join(entries.values()) + "\n")

    def _entries(self, tree: str) -> dict[str, str]:
        """Lines of `git ls-tree`, by name; none of an empty hash."""
        lines = self._git("ls-tree", tree).splitlines() if tree else []
        return {line.split("\t", 1)[1]: line for line in lines}

    def _union(self, ours: str, theirs: str) -> str:
        """The tree of the entries of two trees; of two files of one name, ours."""
        here, there = self._entries(ours), self._entries(theirs)
        both = {name: here[name].split() for name in here.keys() & there.keys() if here[name] != there[name]}
        folders = {name: about[2] for name, about in both.items() if about[1] == there[name].split()[1] == "tree"}
        merged = {name: self._union(tree, there[name].split()[2]) for name, tree in folders.items()}
        return self._make_tree(there | here | {name: f"040000 tree {tree}\t{name}" for name, tree in merged.items()})

    def entries_aside(self, branch: str) -> int:
        """How many files and folders the top folder of a branch has."""
        return len(self._entries(next(iter(self.tips(branch)), "")))

    def last_commit_aside(self, branch: str, path: str, text: str) -> str | None:
        """The commit that gave the file `path` of a branch just this text; None where it has another text, or none."""
        tip = next(iter(self.tips(branch)), "")
        listed = self._git("ls-tree", tip, "--", path) if tip else ""
        if not listed or listed.split()[2] != self._git("hash-object", "--stdin", text=text):
            return None
        return self._git("log", "-1", "--format=%H", tip, "--", path)

    def tips(self, branch: str) -> list[str]:
        """Hashes of the newest commit of the local branch and of the branch of each remote."""
        refs = (f"refs/heads/{branch}", f"refs/remotes/*/{branch}")
        return self._git("for-each-ref", "--format=%(objectname)", *refs).split()

    def history(self, branch: str) -> dict[str, int]:
        """Time (seconds since 1970) of each commit of a branch, local or of a remote, by hash."""
        tips = self.tips(branch)
        log = self._git("log", "--format=%H %ct", *tips).splitlines() if tips else []
        return {line.split()[0]: int(line.split()[1]) for line in log}

    def merge_branch(self, repository: Path, branch: str) -> None:
        """Merge a branch of another repository into the local branch of that name. Local files stay unchanged."""
        coming = "refs/archer/merging"
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        self._git(*fetch, str(repository), f"+refs/heads/{branch}:{coming}")
        theirs, ours = self._git("rev-parse", coming), next(iter(self.tips(branch)), "")
        self._git("update-ref", "-d", coming)
        if ours and theirs not in self._git("rev-list", ours).split():
            tree = self._union(ours, theirs)
            parents = ("-p", ours, "-p", theirs)
            theirs = self._git(*self._identity(), "commit-tree", tree, *parents, "-m", f"Merge {branch}")
        elif ours:
            theirs = ours
        self._git("update-ref", f"refs/heads/{branch}", theirs)

    def content(self, commit: str, path: str) -> str:
        """Content of the file `path` at a commit, by the one git process that answers all such questions."""
        try:
            return self._repo.git.get_object_data(f"{commit}:{path}")[3].decode().removesuffix("\n")
        except ValueError as error:
            raise ArchiveError(f"{self._repo.working_dir} has no text {path} at commit {commit[:12]}") from error

    def head(self) -> str:
        """Hash of the last commit."""
        return self._git("rev-parse", "HEAD")

    def require_ancestor(self, commit: str) -> None:
        """Raise ArchiveError if `commit` is not in the history of the last commit."""
        self._git("merge-base", "--is-ancestor", commit, "HEAD")

    def changed_since(self, commit: str) -> list[str]:
        """Paths that differ between a commit and the last one, relative to the work tree."""
        return [path for _, path in self._differences(commit)]

    def problems_since(self, known: Sequence[str], head: str, branches: Sequence[str]) -> Iterator[str]:
        """As `problems`, of objects that no `known` commit reaches, and of files that changed after the commit `head`.

        branches: whose commits are looked at besides those of the last commit.
        """
        tips = [self.head(), *(tip for branch in branches for tip in self.tips(branch))]
        for line in self._git("rev-list", "--objects", *tips, "--not", *known).splitlines():
            name = line.split()[0]
            try:
                _, kind, size, content = self._repo.git.get_object_data(name)
            except ValueError:
                yield f"git lacks the object {name}; clone the archive again"
                continue
            whole = os.fsencode(kind) + f" {size}\0".encode() + content  # GitPython says str, and gives bytes
            if hashlib.sha1(whole, usedforsecurity=False).hexdigest() != name:
                yield f"git's object {name} is damaged; clone the archive again"
        for mode, path in self._differences(head):
            if mode in _LINKS:
                yield f"{path} is a link; an archive holds plain files"

    def _differences(self, commit: str) -> Iterator[tuple[str, str]]:
        """Mode and path of each file that is not at the last commit as it was at another."""
        fields = self._git("diff", "--raw", "-z", "--no-renames", commit, "HEAD").split("\0")
        return ((about.split()[1], path) for about, path in zip(fields[::2], fields[1::2], strict=False))

    def discard(self, paths: list[str]) -> None:
        """Reset `paths` to the last commit. Errors, e.g. of a full disk, are ignored."""
        for path in paths:
            whole = Path(self._repo.working_dir, path)
            with contextlib.suppress(ArchiveError, OSError):
                shutil.rmtree(whole) if whole.is_dir() else whole.unlink(missing_ok=True)
            with contextlib.suppress(ArchiveError):
                self._git("reset", "--quiet", "--", path)
            with contextlib.suppress(ArchiveError):
                self._git("checkout", "--quiet", "--", path)

    def problems(self) -> Iterator[str]:
        """One line per problem: a shallow history, missing or damaged objects, links among the files."""
        if (self.folder / "shallow").exists():
            yield "the history is cut off (a shallow clone); `git fetch --unshallow` completes it"
        try:
            self._git("fsck", "--no-dangling", "--no-progress")
        except ArchiveError as error:
            yield str(error)
        for entry in self._git("ls-files", "--stage", "-z").split("\0"):
            if entry.startswith(_LINKS):
                yield f"{entry.partition(chr(9))[2]} is a link; an archive holds plain files"

    def dirty_paths(self, inside: Sequence[str] = (".",)) -> list[str]:
        """Paths that differ from the last commit or are not in it, relative to the work tree; only those `inside`."""
        status = self._git("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", *inside)
        return [entry[3:] for entry in status.split("\0") if entry]

    def commit_about(self, subject: str, made: datetime) -> str | None:
        """Hash of the newest commit with this subject, of those from when it was made and the two days after; or None.

        With a commit graph, git reads no commits but these.
        """
        window = (
            f"--since={(made - timedelta(hours=1)).isoformat()}",
            f"--until={(made + timedelta(days=2)).isoformat()}",
        )
        for line in (self._git("log", "--format=%H %s", *window) if self._born() else "").splitlines():
            commit, _, found = line.partition(" ")
            if found == subject:
                return commit
        return None

    def newest_by_subject(self) -> dict[str, str]:
        """Hash of the newest commit whose subject is `WORDS: ...`, by the words. It reads commits alone, no trees."""
        found: dict[str, str] = {}
        for line in (self._git("log", "--format=%H %s") if self._born() else "").splitlines():
            commit, _, subject = line.partition(" ")
            found.setdefault(subject.partition(": ")[0], commit)
        return found

    def last_commit_of(self, path: str) -> str | None:
        """Hash of the newest commit that touched `path`; None if there is none."""
        return self._git("log", "-1", "--format=%H", "--", path) or None

    def last_commits_in(self, folder: str, entry_of: Callable[[str], str | None]) -> dict[str, str]:
        """Hash of the newest commit that touched each entry of `folder`. Runs git once.

        entry_of: as in `newest_commits`.
        """
        log = self._git("log", "--format=%x00%H", "--name-only", "--no-renames", "--", folder) if self._born() else ""
        return newest_commits(log, entry_of)

    def _born(self) -> bool:
        try:
            return bool(self._git("rev-parse", "--verify", "--quiet", "HEAD^{commit}"))
        except ArchiveError:
            return False

    def contents_of(self, folders: Sequence[str]) -> dict[str, str]:
        """Hash of the content of each entry of the folders at the last commit, by the entry's path."""
        if not self._born():
            return {}
        lines = self._git("ls-tree", "-z", "HEAD", "--", *(f"{folder}/" for folder in folders)).split("\0")
        found = (line.partition("\t") for line in lines if line)
        return {path: about.split()[2] for about, _, path in found}

    def _identity(self) -> tuple[str, ...]:
        """Who commits where the user's git does not know; what the environment names goes before it."""
        if self._git("config", "--default", "", "--get", "user.email"):
            return ()
        return ("-c", "user.name=archer", "-c", "user.email=archer@localhost")

    def _git(self, *arguments: str, text: str = "") -> str:
        """Run git with `text` as standard input. Returns git's output."""
        try:
            with tempfile.TemporaryFile() as stream:
                stream.write(text.encode())
                stream.seek(0)
                command = ["git", *_SETTINGS, *arguments]
                return str(self._repo.git.execute(command, istream=stream, strip_newline_in_stdout=True))
        except GitCommandError as error:
            raise ArchiveError(f"git {arguments[0]} failed in {self._repo.working_dir}: {_words(error)}") from error


def newest_commits(log: str, entry_of: Callable[[str], str | None]) -> dict[str, str]:
    """Newest commit of each entry, from the output of `git log --format=%x00%H --name-only`.

    entry_of: the entry that a path belongs to; None where it belongs to none.
    """
    found: dict[str, str] = {}
    for commit in log.split("\0")[1:]:
        digest, *paths = commit.split("\n")
        for path in paths:
            if (entry := entry_of(path)) is not None:
                found.setdefault(entry, digest)
    return found


def _words(error: GitCommandError) -> str:
    text = str(error.stderr or error).strip().removeprefix("stderr:").strip().strip("'\"")
    return " ".join(text.split())[:300]
