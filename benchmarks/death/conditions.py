"""What archer may meet beside a blow: a small disk, a disk that is read only, locks of a killed git, another archer."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.death.nursery import Place

LOCKS = ("index", "HEAD", "config", "packed-refs", "refs/heads/main", "refs/heads/predictions")
"""Files of git's that a killed git may leave locked."""
ROOMY = "512m"
MINUTE = 60.0
PAGE = 4
"""KiB."""


def leave_lock(place: Place, name: str, now: float) -> None:
    """A lock of a git that was killed a minute ago."""
    lock = place.archive / ".git" / f"{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (now - MINUTE, now - MINUTE))


@contextmanager
def own_disk(place: Place) -> Iterator[None]:
    """The files of a prepared place on a file system of their own, in memory. Needs root."""
    kept = place.folder / "kept"
    place.files.rename(kept)
    place.files.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", place.files)
    try:
        shutil.copytree(kept, place.files, dirs_exist_ok=True, symlinks=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", place.files], check=True)


@contextmanager
def space_left(place: Place, kibibytes: int) -> Iterator[None]:
    """So much space on the place's own disk, then plenty again."""
    found = os.statvfs(place.files)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize // 1024
    _mount("-o", f"remount,size={max(used + kibibytes, PAGE)}k", place.files)  # 0 would be no limit
    try:
        yield
    finally:
        _mount("-o", f"remount,size={ROOMY}", place.files)


@contextmanager
def read_only(place: Place) -> Iterator[None]:
    """The archive of a place cannot be written, by root neither. Needs root."""
    _mount("--bind", place.archive, place.archive)
    try:
        _mount("-o", "remount,bind,ro", place.archive)
        yield
    finally:
        subprocess.run(["umount", "--lazy", place.archive], check=True)


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)
