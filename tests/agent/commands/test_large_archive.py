"""Every command on an archive whose later proposals lie in folders of some."""

import json
import shutil
from pathlib import Path

import pytest

from agent.errors import DONE
from archive.records import places
from tests.agent.commands.conftest import Run

pytestmark = pytest.mark.slow  # trains


@pytest.mark.usefixtures("tiny_smoke", "lent_sandbox")
def test_a_search_over_the_border(archer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(places, "BORDER", 2)

    def answer(*arguments: object) -> dict:
        code, out, err = archer(*arguments, "--json")
        assert code == DONE, err
        return json.loads(out)

    search = ("propose", "--proposer", "evolve", "--protocol", "smoke", "--no-confirm", "--jobs", "1", "--n")
    first, second = answer(*search, 2)
    root = tmp_path / "archer-archive"
    assert (root / f"proposals/0001-{first['name']}").is_dir()
    assert (root / f"proposals/0000-0099/0002-{second['name']}").is_dir()
    assert [line["id"] for line in answer("list")] == [1, 2]
    shown = answer("show", 2)
    assert shown["name"] == second["name"]
    assert shown["commit"]
    assert len(answer("diff", 2)["diff"]) > 0
    assert answer("verify")["problems"] == []
    assert answer("verify", "--new")["problems"] == []
    assert answer("replay", 2)["answer"] != "differs"
    assert archer("export", second["name"], "--out", "exported")[0] == DONE
    assert archer("report", "--out", "site")[0] == DONE
    assert (tmp_path / "site/proposals/0002.html").is_file()
    shutil.copytree(root, tmp_path / "other")
    (third,) = answer(*search, 1, "--archive", "other", "--seed", 9)
    assert answer("merge", "other")["added"]
    assert (root / f"proposals/0000-0099/0003-{third['name']}").is_dir()
    assert answer("verify")["problems"] == []
