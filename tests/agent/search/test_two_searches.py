"""Two searches on one archive: an interrupted proposal is ended by one of them. An error in a search of two jobs."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from agent.search.attempt import Attempt, Resumption, SearchResources
from agent.search.beside import Beside
from agent.search.engine import Engine
from agent.search.loop import Search, SearchPlan
from agent.terminal.progress import Progress
from archive.errors import ArchiveError
from archive.records.record import Record
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.built_in import SMOKE
from tests.builders import make_archive_of, make_record, make_variant
from tests.waiting import PATIENCE
from variants.contract import BASELINE


def test_what_another_search_ends_is_left_to_it(tmp_path: Path, monkeypatch: Any) -> None:
    archive = make_archive_of(tmp_path / "search", [make_variant(BASELINE)])
    interrupted = archive.tell(make_record(Status.INTERRUPTED, protocol=SMOKE), "r")
    ended = interrupted.model_copy(update={"status": Status.REJECTED, "reason": "ended"})
    begun, of_the_other = [], []

    def run(_: Resumption) -> Any:
        if not begun:
            begun.append(True)
            of_the_other.extend(search(Archive(archive.root)))
        return (ended,)

    def search(own: Archive) -> list[str]:
        with ThreadPoolExecutor(1) as trials, Progress(Console(quiet=True), 0) as progress:
            resources = SearchResources(cast(Any, None), cast(Any, None), SMOKE, Engine(trials))
            plan = SearchPlan(0, 1, 0, confirm=False)
            return [record.reason for record in Search(own, resources, plan, progress).run()]

    monkeypatch.setattr(Resumption, "run", run)
    monkeypatch.setattr(SearchResources, "evaluator", lambda *_: Archived())
    assert search(archive) == ["ended"]
    assert of_the_other == []


def test_what_another_search_confirms_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, trained = make_archive_of(tmp_path / "search", [make_variant(BASELINE)]), []

    def search(own: Archive) -> None:
        with ThreadPoolExecutor(1) as trials, Progress(Console(quiet=True), 0) as progress:
            resources = SearchResources(cast(Any, None), cast(Any, None), SMOKE, Engine(trials))
            list(Search(own, resources, SearchPlan(0, 1, 0), progress).run())

    def train() -> None:
        trained.append("once")
        if len(trained) == 1:
            search(Archive(archive.root))

    def confirmations(_: Search) -> Iterator[Beside]:
        if not trained or trained == ["once"]:
            yield Beside("confirm-smoke-x", "x would be the new best", train, lambda _: trained.append("told") or ())

    monkeypatch.setattr(Search, "_confirmations", confirmations)
    search(archive)
    assert trained == ["once", "told"]
    assert archive.take_up("confirm-smoke-x"), "the claim ended with the work"


def test_an_error_in_one_proposal_loses_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, begun = make_archive_of(tmp_path / "search", [make_variant(BASELINE)]), threading.Event()
    other = make_record(Status.INTERRUPTED, protocol=SMOKE)

    def run(attempt: Attempt) -> tuple[Record, ...]:
        if attempt.index == 0:
            assert begun.wait(PATIENCE)
            raise ArchiveError("a file was damaged meanwhile")
        stop = attempt._prepare().stop
        begun.set()
        stop.wait()
        return (other,)

    monkeypatch.setattr(Attempt, "run", run)
    with ThreadPoolExecutor(1) as trials, Progress(Console(quiet=True), 2) as progress:
        resources = SearchResources(cast(Any, None), cast(Any, None), SMOKE, Engine(trials))
        search = Search(archive, resources, SearchPlan(2, 2, 0, confirm=False), progress)
        with pytest.raises(ArchiveError, match="damaged"):
            list(search.run())
    assert [(line.name, line.status) for line in archive.lines()] == [(other.proposal.variant.name, Status.INTERRUPTED)]


class Archived:
    """An evaluator that has no log."""

    def archived(self, *_: object) -> None:
        """Nothing to forget."""
