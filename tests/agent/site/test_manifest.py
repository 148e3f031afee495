"""When a site is built anew."""

from pathlib import Path

import pytest

from agent.site import manifest


def test_code_in_a_folder_of_a_package_decides_how_a_page_looks_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inner = tmp_path / "agent.analysis" / "boards" / "board.py"
    for folder in (*(tmp_path / package for package in manifest.MAKERS), tmp_path / "prompts" / "site", inner.parent):
        folder.mkdir(parents=True)
    inner.write_text("one = 1\n")
    monkeypatch.setattr(manifest, "files", tmp_path.joinpath)
    before = manifest.maker()
    assert manifest.maker() == before
    inner.write_text("one = 2\n")
    assert manifest.maker() != before
