"""Generation 0 of an archive: the seed variants, the scores that ship with them, and the published leaderboard."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from archive.errors import ArchiveError
from archive.files import read_json, read_lines, write_json, write_lines, write_text
from archive.git import GitFolder
from archive.reader import FORMAT, MAKING, MARKER, TRIALS, is_unfinished
from archive.records.places import VARIANTS
from archive.store import Archive
from archive.tables.leaderboard_csv import PUBLISHED
from archive.tables.leaderboards import LEADERBOARDS, write_leaderboard
from evaluator.outcomes import StateSize, Trial
from variants.contract import Variant
from variants.seeds import seed_variants

SHIPPED = ("smoke", "quick", "extra", "standard")
ATTRIBUTES = ".gitattributes"
_README = """# An archer archive

One architecture search. `proposals/` holds a folder for each proposal, with its report, checks, trials and scores
(from the thousandth on in folders of a hundred, `proposals/1200-1299/1234-NAME`); `variants/` the kernels (those of
later proposals in folders by a hash of the name); `trials/` the runs of variants that no proposal of this archive made
(the seeds among them); `leaderboards/` is derived from these, one table per protocol; `confirmations/` holds what fresh
seeds said of a would-be new best; the branch `predictions` dates what was predicted. `git log` tells the story,
`archer show 1` a part.
"""


@cache
def shipped_trials(protocol: str) -> tuple[Trial, ...]:
    """The shipped trials of the seed variants under one protocol, read once. Raises ArchiveError for a damaged file."""
    return read_lines(PUBLISHED.with_name(f"{protocol}.trials.jsonl"), Trial)


def shipped_by_variant(protocol: str) -> dict[str, list[Trial]]:
    """The shipped trials under one protocol, by variant. Raises ArchiveError for a damaged file."""
    return _by_variant(shipped_trials(protocol))


@cache
def _shipped_controls(protocol: str) -> tuple[Trial, ...]:
    return read_lines(PUBLISHED.with_name(f"{protocol}.controls.trials.jsonl"), Trial)


def shipped_controls(protocol: str) -> dict[str, list[Trial]]:
    """The shipped trials of the controls under one protocol, by control. Raises ArchiveError for a damaged file.

    They are in no archive: a control is no variant.
    """
    return _by_variant(_shipped_controls(protocol))


@cache
def _shipped_references(protocol: str) -> tuple[Trial, ...]:
    return read_lines(PUBLISHED.with_name(f"{protocol}.references.trials.jsonl"), Trial)


def shipped_references(protocol: str) -> dict[str, list[Trial]]:
    """The shipped trials of the reference in other layers under one protocol, by name; empty where none was trained.

    Raises ArchiveError for a damaged file. They are in no archive, either.
    """
    return _by_variant(_shipped_references(protocol))


def shipped_outside(protocol: str) -> dict[str, list[Trial]]:
    """The shipped trials of `outside_archives` under one protocol, by name. Raises ArchiveError for a damaged file."""
    return shipped_controls(protocol) | shipped_references(protocol)


def _by_variant(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.variant, []).append(trial)
    return found


@cache
def shipped_sizes() -> Mapping[str, StateSize]:
    """State sizes of the seed variants and the controls, by the hash of the source. Raises ArchiveError."""
    found = read_json(PUBLISHED.with_name("sizes.json"))
    return {source_hash: StateSize(**size) for source_hash, size in found.items()}


def make_archive(root: Path) -> Archive:
    """Make an archive at `root`. Raises ArchiveError or OSError, leaving nothing behind."""
    trials = [trial for protocol in SHIPPED for trial in shipped_trials(protocol)]
    return create(root, seed_variants(), trials, {"published": PUBLISHED.read_text(encoding="utf-8")})


def create(
    root: Path, seeds: Mapping[str, Variant], trials: Sequence[Trial], leaderboards: Mapping[str, str]
) -> Archive:
    """The same with other seeds, trials of theirs, and leaderboards by name as CSV text."""
    if root.exists() and not root.is_dir():
        raise ArchiveError(f"{root} is a file, and an archive is a folder; name a new folder")
    existed = root.exists()
    root.mkdir(parents=True, exist_ok=True)
    with _making(root):
        try:
            git = GitFolder(root, create=True)
            paths = _write(root, seeds, trials, leaderboards)
            git.commit(f"Generation 0: {len(seeds)} seed variants and the leaderboards", paths)
        except BaseException:
            _clear(root)
            if not existed:
                shutil.rmtree(root, ignore_errors=True)
            raise
    return Archive(root)


def make_if_none(root: Path, tell: Callable[[str], object] = lambda _: None) -> Archive:
    """The archive at `root`. It is made if there is none, or only what an archer left that was killed as it made one.

    tell: is told so before. Raises as `make_archive` does.
    """
    if root.is_dir() and not is_unfinished(root) and any(root.iterdir()):
        return Archive(root)
    tell(f"making the archive {root} with the seed variants")
    return make_archive(root)


@contextmanager
def _making(root: Path) -> Iterator[None]:
    """Keep a locked file in the folder until the archive is whole: unlocked, it was left by an archer that was killed.

    What that one made goes. Raises ArchiveError for a folder that holds anything else.
    """
    if any(root.iterdir()) and not is_unfinished(root):
        raise ArchiveError(f"{root} exists and is not empty; name a new folder with --archive")
    mark = root / MAKING
    with mark.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(f"another archer is making the archive {root}; wait for it to end") from None
        if not mark.exists() or not os.path.samestat(mark.stat(), os.fstat(held.fileno())):
            raise ArchiveError(f"{root} exists and is not empty; name a new folder with --archive")
        _clear(root)
        if foreign := [entry.name for entry in root.iterdir() if entry != mark]:
            raise ArchiveError(f"{root} exists and is not empty: it holds {foreign[0]}; name a new folder")
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)


def _clear(root: Path) -> None:
    """Remove what an archive begins with, and nothing else."""
    for name in (".git", VARIANTS, LEADERBOARDS, TRIALS):
        shutil.rmtree(root / name, ignore_errors=True)
    for path in (root / MARKER, root / "README.md", root / ATTRIBUTES, *root.glob(".tmp-*")):
        path.unlink(missing_ok=True)


def _write(
    root: Path, seeds: Mapping[str, Variant], trials: Sequence[Trial], leaderboards: Mapping[str, str]
) -> list[str]:
    write_json(root / MARKER, {"format": FORMAT})
    write_text(root / "README.md", _README)
    write_text(root / ATTRIBUTES, "* -text\n")  # a clone has the very bytes that were hashed, whatever git's settings
    for name, variant in seeds.items():
        write_text(root / VARIANTS / f"{name}.py", variant.source)
    for name, text in leaderboards.items():
        write_text(root / LEADERBOARDS / f"{name}.csv", text)
    by_protocol: dict[str, dict[str, list[Trial]]] = {}
    for trial in trials:
        by_protocol.setdefault(trial.protocol, {}).setdefault(trial.variant, []).append(trial)
    for protocol, by_variant in by_protocol.items():
        for name, own in by_variant.items():
            write_lines(root / TRIALS / protocol / f"{name}.jsonl", own)
        write_leaderboard(root, protocol, by_variant)
    return [
        path for path in (MARKER, "README.md", ATTRIBUTES, VARIANTS, LEADERBOARDS, TRIALS) if (root / path).exists()
    ]
