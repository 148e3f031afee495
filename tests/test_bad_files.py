"""A sample of `python -m benchmarks.bad_files`: nothing that is read from outside breaks archer, whatever is in it."""

from pathlib import Path

import pytest

from benchmarks.bad_files import answers, archives, given, rule
from benchmarks.bad_files.__main__ import defects
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow  # hundreds of files, and archives made from nothing

EXAMPLES = 20


@pytest.mark.parametrize("module", [given, answers, archives])
def test_bad_contents_are_an_error_of_one_line_or_a_finding(
    module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule, "WAIT_SECONDS", PATIENCE)  # git, too, waits for a busy machine
    for kind in module.kinds(tmp_path):  # type: ignore[attr-defined]
        assert defects(kind, max(1, int(EXAMPLES * kind.share)), 0) == [], kind.name
        assert kind.met, kind.name
