"""`archer import-csv`: a table of somebody else's, with gaps, and what the other commands make of it."""

import json
import threading
from pathlib import Path

import pandas as pd
import pytest

from agent.analysis.boards.leaderboard import imported_leaderboards
from agent.errors import DONE, USAGE
from archive.store import Archive
from archive.tables.leaderboard_csv import PUBLISHED, format_leaderboard, read_leaderboard
from archive.verify import problems
from evaluator.protocols.built_in import QUICK
from evaluator.tasks.registry import MAD_TASKS
from tests.agent.commands.conftest import Run
from tests.builders import make_record
from variants.contract import BASELINE

TASKS = "compression;in-context-recall;fuzzy-in-context-recall;memorization;noisy-in-context-recall;selective-copying"
FOREIGN = f""";model;{TASKS}
0;mamba;44,1;99;;40;;90
1;{BASELINE};44,1;;20;40;99;90
"""


def test_a_foreign_table_is_imported_and_what_was_understood_is_printed(archer: Run, tmp_path: Path):
    (tmp_path / "board.csv").write_text(FOREIGN, encoding="utf-8")
    code, out, err = archer("import-csv", "board.csv")
    assert (code, err) == (DONE, "")
    *understood, last, replaced, hint = out.splitlines()
    assert replaced == f"replaced: {BASELINE}; --name keeps a table apart from published"
    assert hint == "archer leaderboard --protocol published shows them"
    assert all(line.startswith("understood: ") for line in understood)
    assert "understood: 'fuzzy-in-context-recall' is Fuzzy Recall" in understood
    assert last.endswith("1 row added, 1 replaced, 21 kept")

    rows = json.loads(archer("leaderboard", "--protocol", "published", "--json")[1])["rows"]
    shown = {row["name"]: row for row in rows}
    assert not {"0", "1"} & set(shown)
    assert {task: score["mean"] for task, score in shown["mamba"]["scores"].items()} == {
        "Compress": 0.441,
        "Context Recall": 0.99,
        "Memorize": 0.4,
        "Selective Copy": 0.9,
    }
    assert (shown["mamba"]["mean"], shown["mamba"]["n"]) == (None, 0)
    assert archer("leaderboard", "--protocol", "published", "--front")[0] == DONE
    assert archer("report")[0] == DONE
    assert list(problems(Archive(tmp_path / "archer-archive"))) == []


def test_nothing_is_imported_under_numbers(archer: Run, tmp_path: Path):
    header, *rows = (line.split(";", 2) for line in FOREIGN.splitlines())
    unnamed = "\n".join([f";{header[2]}", *(f"{row[0]};{row[2]}" for row in rows)])
    (tmp_path / "board.csv").write_text(unnamed, encoding="utf-8")
    code, out, err = archer("import-csv", "board.csv")
    assert (code, out) == (USAGE, "")
    assert "no column of names: the first column holds numbers (0, 1, ...)" in err
    assert not (tmp_path / "archer-archive").exists()


def test_a_leaderboard_of_another_name_is_shown_by_its_name(archer: Run, tmp_path: Path):
    (tmp_path / "board.csv").write_text(FOREIGN, encoding="utf-8")
    assert archer("import-csv", "board.csv", "--name", "mine")[0] == DONE
    code, out, _ = archer("leaderboard", "--protocol", "mine")
    assert (code, "mamba" in out, "mine: imported" in out) == (DONE, True, True)
    assert "mamba,0.441,0.99,,0.4,,0.9" in archer("leaderboard", "--protocol", "mine", "--csv")[1]
    code, _, err = archer("leaderboard", "--protocol", "yours")
    assert (code, "published, mine" in err) == (USAGE, True)
    assert archer("leaderboard", "--protocol", "mine", "--front")[0] == USAGE


def test_a_table_that_was_derived_from_trials_is_no_import(archive: Archive):
    archive.tell(make_record(protocol=QUICK.model_copy(update={"name": "older"})), "r")
    archive.tell_leaderboard("mine", format_leaderboard(read_leaderboard(PUBLISHED)))
    assert (archive.root / "leaderboards" / "older.csv").exists()
    assert imported_leaderboards(archive) == ["mine"]


def test_two_imports_at_once_keep_the_rows_of_both(archer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archer("init")
    for name in ("ours", "theirs"):
        (tmp_path / f"{name}.csv").write_text(f"name,{','.join(MAD_TASKS)}\n{name},0,0,0,0,0,1\n")
    other = threading.Thread(target=lambda: archer("import-csv", "theirs.csv"))

    def read_slowly(path: Path) -> pd.DataFrame:
        found = read_leaderboard(path)
        if threading.current_thread() is threading.main_thread():
            other.start()
            other.join(0.5)
        return found

    monkeypatch.setattr("agent.commands.import_csv.read_leaderboard", read_slowly)
    assert archer("import-csv", "ours.csv")[0] == DONE
    other.join()
    rows = json.loads(archer("leaderboard", "--protocol", "published", "--json")[1])["rows"]
    assert {"ours", "theirs"} <= {row["name"] for row in rows}
