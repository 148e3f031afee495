"""A template that was started before its sandbox: taken over once, or ended."""

from pathlib import Path

import pytest

from benchmarks.kills import GIVE_UP, seconds_until_gone
from evaluator.sandbox import Sandbox, folders
from evaluator.sandbox import prestart as early
from variants.contract import BASELINE
from variants.seeds import seed_variants

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))


def test_the_first_sandbox_takes_it_over(tmp_path: Path) -> None:
    early.begin()
    (folder,) = tmp_path.iterdir()
    with Sandbox() as sandbox, sandbox.kernel(seed_variants()[BASELINE]):
        assert list(tmp_path.iterdir()) == [folder]
        assert early.take("cpu") is None
    assert list(tmp_path.iterdir()) == []
    assert seconds_until_gone(tmp_path) < GIVE_UP


def test_one_that_nobody_takes_is_ended(tmp_path: Path) -> None:
    early.begin()
    assert early.take("cuda") is None
    early.drop()
    assert list(tmp_path.iterdir()) == []
    assert seconds_until_gone(tmp_path) < GIVE_UP
