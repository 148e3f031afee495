"""The command line as people and scripts call it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import run

Run = Callable[..., tuple[int, str, str]]
"""Arguments -> exit code, standard output, standard error."""


@pytest.fixture
def archer(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command in an empty folder, with no settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("ARCHER_ARCHIVE", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call
