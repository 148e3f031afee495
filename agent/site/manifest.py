"""What the site was built from, kept beside it: a page is written again only when something that it shows changed."""

import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from agent.errors import UserError
from agent.site.content.family import Sketch
from agent.site.content.row import Row
from archive.errors import ArchiveError
from archive.files import read_json
from evaluator.values import Value

LEDGER = ".archer-report.json"


class Entry(Value):
    """One proposal: a hash of its folder, of what its page shows besides, and its row."""

    id: str
    content: str | None
    links: str
    number: int
    name: str
    parent: str
    protocol: str
    protocol_hash: str
    row: Row

    @classmethod
    def of(cls, sketch: Sketch, content: str | None, links: str, row: Row) -> Self:
        """The entry of a proposal whose page was just made."""
        return cls(
            id=sketch.id,
            content=content,
            links=links,
            number=sketch.number,
            name=sketch.name,
            parent=sketch.parent,
            protocol=sketch.protocol,
            protocol_hash=sketch.protocol_hash,
            row=row,
        )


class BuildManifest(Value):
    """A built site. `maker` is a hash of the program and templates that made it."""

    maker: str
    entries: dict[str, Entry] = Field(default_factory=dict)
    files: tuple[str, ...] = ()


def open_ledger(out: Path) -> BuildManifest:
    """The ledger of the site in `out`; an empty one where nothing is yet, or what is there was made by another archer.

    Raises UserError for a folder that holds anything but a site of archer's.
    """
    current = maker()
    if not out.exists() or (out.is_dir() and all(entry.match(f".{LEDGER}.part") for entry in out.iterdir())):
        return BuildManifest(maker=current)
    if not (out / LEDGER).is_file():
        raise UserError(f"{out} is not empty and no report of archer's; name another folder with --out")
    try:
        old = BuildManifest.model_validate_json((out / LEDGER).read_bytes())
    except (ValidationError, OSError):
        old = BuildManifest(maker="unknown", files=_listed(out))
    return old if old.maker == current else BuildManifest(maker=current, files=old.files)


MAKERS = ("agent.site", "agent.analysis", "agent.reports", "evaluator.statistics", "evaluator.tasks")
"""Packages whose code decides how a page looks, and what it says, with all that is in them."""


def maker() -> str:
    """A hash of everything that decides how a page looks."""
    digest = hashlib.sha256()
    for folder in (*map(files, MAKERS), files("prompts") / "site"):
        for name, entry in sorted(_files_of(folder)):
            digest.update(name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()


def fingerprint(content: object) -> str:
    """A hash of plain values."""
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()[:16]


def _files_of(folder: Traversable) -> Iterator[tuple[str, Traversable]]:
    """The files of a folder and of those in it, each with its path from there; no file has the path of another."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from ((f"{entry.name}/{name}", found) for name, found in _files_of(entry))
        elif not entry.name.endswith(".pyc"):
            yield entry.name, entry


def _listed(out: Path) -> tuple[str, ...]:
    """Files of a site whose ledger this archer does not understand."""
    try:
        found = read_json(out / LEDGER).get("files", [])
    except ArchiveError:
        return ()
    return tuple(str(name) for name in found) if isinstance(found, list) else ()
