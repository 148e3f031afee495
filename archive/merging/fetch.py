"""Copies another archive from its git repository as data. archer runs, follows and trusts nothing in it."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from archive.errors import ArchiveError
from archive.git import newest_commits
from archive.predictions import BRANCH
from archive.reader import Reader
from archive.records.places import PROPOSALS, proposal_of
from evaluator.sandbox.folders import PrivateFolder

MAX_FILE, MAX_TOTAL, MAX_FILES = 64 << 20, 8 << 30, 2_000_000
"""Bytes of one file, bytes of all files, number of files. 10,000 honest proposals have 0.7 GiB in 70,000 files."""
_NAME, _STEM = "[a-z][a-z0-9_]{0,119}", "[a-z][a-z0-9_-]{0,39}"
_BOARD = r"\w[\w-]{0,119}"  # an imported one has the name that somebody gave it: letters of any alphabet, digits and _
_WANTED = re.compile(
    rf"archive\.json|variants/([0-9a-f]{{2}}/)?{_NAME}\.py|trials/{_STEM}/{_NAME}\.jsonl|confirmations/{_STEM}/{_NAME}\.jsonl?|leaderboards/{_BOARD}\.csv|asks/[0-9TZ.+-]+\.jsonl"
    rf"|proposals/([0-9]{{4,9}}-[0-9]{{4,9}}/)?[0-9]{{4,9}}-{_NAME}/(report\.md|(proposal|scorecard|check|merged)\.json|(trials|exchange)\.jsonl)"
)
_LINKS = ("120000", "160000")
_SAFE = (
    *("-c", "protocol.ext.allow=never", "-c", "transfer.fsckObjects=true", "-c", "core.hooksPath=/dev/null"),
    *("-c", "submodule.recurse=false", "-c", "core.fsmonitor=false", "-c", "gc.auto=0"),
)


@dataclass(frozen=True)
class Fetched:
    """Files of another archive, in a temporary folder that is removed when `fetched` ends."""

    content: Reader
    commits: dict[str, str]
    """Newest commit of each proposal, by folder name."""
    repository: Path
    """A bare clone of the other archive."""
    head: str
    ignored: int
    """Number of files that do not belong to an archive; they were left out."""


@contextmanager
def fetched(other: str) -> Iterator[Fetched]:
    """Copy the last commit of the archive at a path or git URL. Raises ArchiveError if it is hostile or no archive."""
    with PrivateFolder.held() as folder:
        repository, files = folder / "other.git", folder / "files"
        source = str(Path(other).resolve()) if Path(other).exists() else other
        if Path(source).is_dir() and not any(Path(source, name).exists() for name in (".git", "HEAD")):
            raise ArchiveError(f"{other} is a folder, but no git repository; name the folder of an archive, or its URL")
        _git(
            None, "clone", "--quiet", "--bare", "--no-local", "--no-tags", "--template=", "--", source, str(repository)
        )
        head = _git(repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode().strip()
        with contextlib.suppress(ArchiveError):  # a clone that archer never opened has the branch only as origin's
            _git(
                repository, "fetch", "--quiet", "--no-tags", source, f"refs/remotes/origin/{BRANCH}:refs/heads/{BRANCH}"
            )
        wanted, ignored = _tree(repository, other)
        _copy(repository, wanted, files)
        if "archive.json" not in wanted:
            raise ArchiveError(f"{other} is a git repository, but no archive: it has no archive.json")
        log = _git(repository, "log", "--format=%x00%H", "--name-only", "--no-renames", "HEAD", "--", PROPOSALS)
        commits = newest_commits(log.decode(errors="replace"), proposal_of)
        yield Fetched(Reader(files), commits, repository, head, ignored)


def _tree(repository: Path, other: str) -> tuple[dict[str, str], int]:
    """Git object of each file of the archive, by path, and the number of other files."""
    wanted, ignored, total = {}, 0, 0
    for entry in _entries(repository):
        meta, _, path = entry.partition("\t")
        mode, _, digest, size = meta.split()
        if mode in _LINKS:
            raise ArchiveError(f"{other} holds a link ({path}); an archive holds plain files, so nothing was merged")
        if not _WANTED.fullmatch(path):
            ignored += path not in ("README.md", ".gitattributes")
            continue
        total += int(size)
        if int(size) > MAX_FILE or total > MAX_TOTAL:
            raise ArchiveError(
                f"{other}: {path} is {size} bytes, {total} with those before it; more than {MAX_FILE} a file or "
                f"{MAX_TOTAL} in all is no archive, so nothing was merged"
            )
        wanted[path] = digest
    return wanted, ignored


def _entries(repository: Path) -> Iterator[str]:
    """Yield lines of `git ls-tree` one by one: a hostile tree of trees can name more files than fit the memory."""
    listing = ["git", *_SAFE, "-C", str(repository), "ls-tree", "-r", "-z", "-l", "--full-tree", "HEAD"]
    with subprocess.Popen(listing, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()) as running:
        assert running.stdout is not None
        rest, count = b"", 0
        try:
            while block := running.stdout.read(1 << 16):
                *lines, rest = (rest + block).split(b"\0")
                count += len(lines)
                if count > MAX_FILES or len(rest) > 1 << 16:
                    raise ArchiveError(f"more than {MAX_FILES} files are no archive, so nothing was merged")
                yield from (line.decode(errors="replace") for line in lines)
        finally:
            running.kill()


def _copy(repository: Path, wanted: dict[str, str], root: Path) -> None:
    """Write each object to its path. `_tree` has checked the paths, so no path leads out of `root`."""
    reading = ["git", *_SAFE, "-C", str(repository), "cat-file", "--batch"]
    root.mkdir()
    with subprocess.Popen(reading, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for path, digest in wanted.items():
            running.stdin.write(f"{digest}\n".encode())
            running.stdin.flush()
            size = int(running.stdout.readline().split()[-1])
            content = running.stdout.read(size + 1)[:size]
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        running.stdin.close()


def _git(repository: Path | None, *arguments: str) -> bytes:
    """Run git with a limit on the bytes that it writes to disk, and without asking for a password."""
    where = () if repository is None else ("-C", str(repository))
    bounded = f'ulimit -f {MAX_TOTAL // 512} 2>/dev/null; exec git "$@"'
    command = ["sh", "-c", bounded, "git", *_SAFE, *where, *arguments]
    done = subprocess.run(command, capture_output=True, env=_environment(), stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        words = " ".join(done.stderr.decode(errors="replace").split())[-300:]
        if arguments[0] == "clone" and Path(arguments[-2]).is_file():
            raise ArchiveError(f"{arguments[-2]} is a file, and no archive; name the folder of an archive, or its URL")
        if arguments[0] == "clone":
            raise ArchiveError(f"nothing to merge at {arguments[-2]}: {words}; give an archive's folder or git URL")
        raise ArchiveError(f"git {arguments[0]} failed: {words or 'it has no commit'}")
    return done.stdout


def _environment() -> dict[str, str]:
    """The user's environment (keys, proxies), without variables that redirect git. git asks no questions."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith("GIT_SSH")}
    return kept | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
