"""FingerprintIndex of an archive: what was read is kept, what changed is read again, what cannot be a twin is none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.search import fingerprint_index as twins
from agent.search.fingerprint_index import FingerprintIndex, kept_at
from archive.records.record import Record
from archive.store import Archive
from evaluator.checks.fingerprint import PROBES_HASH, WIDTH, Twin
from evaluator.outcomes import CheckReport, Status
from tests.builders import make_archive_of, make_check, make_record, make_variant
from variants.contract import BASELINE
from variants.seeds import seed_variants


def some_print(seed: int) -> tuple[float, ...]:
    return (4.0, *np.random.default_rng(seed).normal(size=WIDTH - 1).tolist())


def record(seed: int, status: Status = Status.FAILED, probes: str = PROBES_HASH) -> Record:
    """One of many variants, with a print of its own."""
    name = f"delta_net_4layer_x{seed}_in_for_loop"
    check = make_check(name=name, fingerprint=some_print(seed), probes=probes)
    return make_record(status, name, check=check)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = make_archive_of(tmp_path / "search", [make_variant(BASELINE)], ())
    for seed in range(3):
        made.tell(record(seed), "")
    return made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    read: Callable[[Archive, str], CheckReport | None] = Archive.check
    monkeypatch.setattr(Archive, "check", lambda self, name: found.append(name) or read(self, name))
    return found


def test_a_proposal_is_found_and_read_once(archive: Archive, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins, "FEW", 2)
    assert FingerprintIndex(archive).find(some_print(1)) == Twin("delta_net_4layer_x1_in_for_loop")
    assert len(reads) == 3
    archive.tell(record(7), "")
    again = FingerprintIndex(Archive(archive.root))
    assert again.find(some_print(7)) == Twin("delta_net_4layer_x7_in_for_loop")
    assert again.find(some_print(1)) == Twin("delta_net_4layer_x1_in_for_loop")
    assert again.find(some_print(8)) is None
    assert len(reads) == 4, "only what is new"
    assert not archive.dirty_paths(), "what is kept is no part of the history"


def test_a_changed_or_damaged_proposal_is_read_again(
    archive: Archive, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twins, "FEW", 1)
    FingerprintIndex(archive)
    reads.clear()
    changed = archive.ids()[1]
    (archive.root / "proposals" / changed / "note.txt").write_text("x")
    FingerprintIndex(archive)
    assert reads == [changed]
    kept_at(archive).write_bytes(b"PK no archive of numpy's")
    assert FingerprintIndex(archive).find(some_print(2)) == Twin("delta_net_4layer_x2_in_for_loop")


def test_no_twin_is_what_was_interrupted_or_seen_by_other_probes(archive: Archive) -> None:
    archive.tell(record(8, Status.INTERRUPTED), "")
    archive.tell(record(9, probes="older"), "")
    found = FingerprintIndex(archive)
    assert found.find(some_print(8)) is None
    assert found.find(some_print(9)) is None


def test_the_oldest_twin_of_a_seed_is_the_baseline() -> None:
    variant = seed_variants()["delta_net_4layer_normalize_keys_in_for_loop"]
    names, prints = twins._seeds()
    own = tuple(prints[names.index(variant.name)])
    assert FingerprintIndex(None).find(own) == Twin(BASELINE)
    assert FingerprintIndex(None).of_others(seed_variants()[BASELINE])(own) == Twin(variant.name)


def scaled(one: tuple[float, ...], factor: float) -> tuple[float, ...]:
    return (one[0], *(factor * x for x in one[1:]))


def test_a_positive_multiple_within_limits_is_a_twin_and_says_by_how_much(archive: Archive) -> None:
    index, name = FingerprintIndex(archive), "delta_net_4layer_x1_in_for_loop"
    found = index.find(scaled(some_print(1), 8.0))
    assert found is not None
    assert (found.name, found.multiple) == (name, pytest.approx(8.0))
    for factor in (-1.0, 0.01, 100.0):
        assert index.find(scaled(some_print(1), factor)) is None
    one_off = list(scaled(some_print(1), 8.0))
    one_off[-1] *= 1.1
    assert index.find(tuple(one_off)) is None, "a gradient apart"
    assert index.find(scaled(some_print(1), 8.0), but=name) is None
