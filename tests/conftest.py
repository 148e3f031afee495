"""Fixtures of all tests."""

from pathlib import Path

import pytest

from archive.store import Archive
from tests.builders import make_archive_of, make_variant
from variants.contract import BASELINE


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """A real archive without proposals: the baseline's name over a kernel that nobody runs, with scores."""
    return make_archive_of(tmp_path / "search", [make_variant(BASELINE)])
