"""The command line as people and scripts call it: exit codes, one-line errors, JSON alone on standard output."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import COMMANDS
from agent.errors import DONE, NO, USAGE
from archive.seeding import make_archive
from archive.tables.leaderboard_csv import PUBLISHED
from evaluator.tasks.registry import MAD_TASKS
from tests.agent.commands.conftest import Run
from variants.contract import BASELINE
from variants.controls import controls
from variants.seeds import seeds

HEADER = "name," + ",".join(MAD_TASKS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(archer: Run, command: str):
    code, out, _ = archer(command, "--help")
    assert code == DONE
    assert f"Example: archer {command}" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["propose", "--n", "-1"], "--n"),
        (["propose", "--protocol", "tiny"], "choose one of smoke, quick, standard, mad"),
        (
            ["propose", "--protocol", "extra"],
            "no search is judged by extra: choose one of smoke, quick, standard, mad, then",
        ),
        (["compare", "--protocol", "extra"], "no search is judged by extra"),
        (["propose", "--proposer", "oracle"], "oracle"),
        (["propose", "--parent", "nobody"], "nobody"),
        (["propose", "--engine", "slurm"], "'slurm' is not one of 'local', 'ray'"),
        (["check", "absent.py"], "absent.py does not exist"),
        (["evaluate", "nobody"], "no variant is called 'nobody'"),
        (["evaluate", BASELINE, "--tasks", "Memorise"], "Memorise"),
        (["evaluate", BASELINE, "--confirm", "--add"], "leave out one of the two"),
        (["replay", "1", "--tasks", "Memorize"], "add --evaluate"),
        (["compare", "--proposers", "oracle"], "none of evolve, random, openai"),
        (["list"], "make one with `archer init"),
        (["show", "1", "--archive", "no-archive"], "is no archive"),
        (["propose", "--archive", "no-archive"], "is no archive"),
        (["init", "no-archive"], "not empty"),
        (["import-csv", "short.csv"], "no column for Selective Copy"),
        (["import-csv", "absent.csv"], "absent.csv"),
        (["propose", "--frobnicate"], "--frobnicate"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(archer: Run, tmp_path: Path, arguments: list[str], says: str):
    (tmp_path / "no-archive").mkdir()
    (tmp_path / "no-archive" / "thesis.txt").write_text("years of work")
    (tmp_path / "short.csv").write_text(HEADER.removesuffix(",Selective Copy") + "\nx,0,0,0,0,0\n")
    before = sorted(path.name for path in tmp_path.rglob("*") if "archer-archive" not in path.parts)
    code, out, err = archer(*arguments)
    assert (code, out) == (USAGE, "")
    assert says in err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.rglob("*") if "archer-archive" not in path.parts) == before


def test_an_error_that_quotes_a_long_name_keeps_its_begin_and_its_end(archer: Run):
    code, _, err = archer("diff", "x" * 10_000)
    assert code == USAGE
    assert len(err) < 2_100
    assert err.startswith("archer: xxx")
    assert err.endswith("x: File name too long; nothing was left half-written\n")


@pytest.mark.slow
def test_a_ray_cluster_that_is_not_there_is_named(archer: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    code, out, err = archer("evaluate", BASELINE, "--protocol", "smoke", "--engine", "ray")
    assert (code, out) == (USAGE, "")
    assert "--engine ray: no Ray cluster: RAY_ADDRESS=127.0.0.1:1: Connection refused" in err.splitlines()[-1]


@pytest.mark.slow
def test_what_ray_needs_is_named(archer: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "evaluator.trials.ray_cluster", None)  # as where Ray is not installed
    code, out, err = archer("evaluate", BASELINE, "--protocol", "smoke", "--engine", "ray")
    assert (code, out) == (USAGE, "")
    assert "pip install -e '.[ray]'" in err.splitlines()[-1]


def test_archive_where_nothing_can_be_written(archer: Run, tmp_path: Path):
    (tmp_path / "file").write_text("")
    code, _, err = archer("init", tmp_path / "file" / "archive")
    assert code == USAGE
    assert "Not a directory" in err


@pytest.mark.slow
def test_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path):
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {tmp_path} && cd {tmp_path} && "
        f"{sys.executable} -m agent.cli init {tmp_path}/search; code=$?; ls -A {tmp_path}; exit $code"
    )
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip("no user namespaces here, so no small disk to fill")
    assert done.returncode == USAGE
    assert "No space left" in done.stderr
    assert done.stdout == ""


def test_init_list_leaderboard_verify(archer: Run):
    assert archer("init")[0] == DONE
    assert archer("list", "--json")[:2] == (DONE, "[]\n")
    code, out, _ = archer("leaderboard", "--json")
    board = json.loads(out)
    rows = board["rows"]
    assert code == DONE
    assert {row["name"] for row in rows} == set(seeds())
    assert [row["name"] for row in board["controls"]] == list(controls())
    assert set(board["floor"]) == set(MAD_TASKS)
    assert all("Memorize" in row["at_floor"] for row in rows)
    states = {row["name"]: row["size"]["state_times_baseline"] for row in (*rows, *board["controls"])}
    assert (states[BASELINE], states["control_zero"]) == (1.0, 0.0)
    assert all(row["size"]["mixer_parameters"] for row in rows)
    shown = archer("leaderboard")[1].splitlines()
    names = [line.split()[0] for line in shown[:-1] if line.startswith(("delta_net_4layer ", "control_"))]
    assert names == [BASELINE, *controls()], "the controls stand below the variants"
    assert "ceiling 1.000" in shown[-1]
    assert "no floor" in archer("leaderboard", "--protocol", "published")[1].splitlines()[-1]
    assert all(set(row["scores"]) == set(MAD_TASKS) for row in rows)
    code, out, err = archer("verify", "--json")
    assert (code, json.loads(out)["problems"], err) == (DONE, [], "")
    code, out, err = archer("verify", "--regroup")
    assert (code, err.strip()) == (DONE, "nothing to move")


def test_only_the_first_rows_of_a_leaderboard_are_shown(archer: Run):
    for form in ([], ["--front"], ["--protocol", "published"]):
        every, few = (json.loads(archer("leaderboard", *form, *more, "--json")[1]) for more in ([], ["--limit", 3]))
        assert few == every | {"rows": every["rows"][:3]}
    assert "the first 3 of 32 variants" in archer("leaderboard", "--limit", 3)[1].splitlines()[0]
    assert archer("leaderboard", "--csv", "--limit", 3)[0] == USAGE


def test_a_leaderboard_without_rows_says_so(archer: Run):
    title = archer("leaderboard", "--protocol", "mad")[1].splitlines()[0]
    assert title.endswith("; no variant has a score yet")


def test_published_leaderboard_is_written_back_as_it_was_read(archer: Run):
    archer("init")
    assert archer("leaderboard", "--protocol", "published", "--csv")[1] == PUBLISHED.read_text()


def test_import_adds_and_replaces_rows_whatever_the_header_of_names(archer: Run, tmp_path: Path):
    rows = ["Unnamed: 0," + ",".join(MAD_TASKS), f"{BASELINE},0.1,0.2,0.3,0.4,0.5,0.6", "new,0,0,0,0,0,1"]
    (tmp_path / "board.csv").write_text("\n".join(rows) + "\n")
    code, out, _ = archer("import-csv", "board.csv", "--json")
    assert code == DONE
    assert json.loads(out) == {"leaderboard": "published", "added": 1, "replaced": 1, "kept": 21, "understood": []}
    board = archer("leaderboard", "--protocol", "published", "--csv")[1]
    assert f"{BASELINE},0.1,0.2,0.3,0.4,0.5,0.6" in board.splitlines()


@pytest.mark.one_sandbox
def test_check_says_what_fails_and_where(archer: Run, tmp_path: Path):
    leaky = (make_archive(tmp_path / "a").root / "variants" / f"{BASELINE}.py").read_text()
    leaky = leaky.replace(".triu(1)", ".triu(2)")
    (tmp_path / "leaky_in_for_loop.py").write_text(leaky)
    code, out, err = archer("check", "leaky_in_for_loop.py", "--json")
    report = json.loads(out)
    assert (code, report["verdict"], err) == (NO, "fail", "")
    causality = next(finding for finding in report["findings"] if finding["check"] == "causality")
    assert causality["status"] == "fail"
    assert {"cut", "length", "max_abs", "seed"} <= set(causality["evidence"])


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_evaluate_scores_the_tasks_asked_for(archer: Run):
    code, out, _ = archer(
        "evaluate", BASELINE, "--protocol", "smoke", "--tasks", "memorize,Compress", "--json", "--quiet"
    )
    answer = json.loads(out)
    assert (code, answer["status"], answer["protocol"]["name"]) == (DONE, "SCORED", "smoke")
    assert set(answer["scores"]) == {"Memorize", "Compress"}
    assert answer["scores"]["Memorize"]["n"] == 1


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_proposal_is_archived_read_and_made_again(archer: Run):
    code, out, _ = archer("propose", "--n", "1", "--protocol", "smoke", "--proposer", "evolve", "--json", "--quiet")
    (record,) = json.loads(out)
    assert (code, record["id"], record["status"], record["proposer"]) == (DONE, 1, "SCORED", "evolve")
    assert set(record["scores"]) == set(record["predictions"]) == set(MAD_TASKS)
    assert [verdict["against"] for verdict in record["verdict"]][-1] == "gated_delta_net_4layer"
    assert json.loads(archer("list", "--json")[1]) == [record]
    shown = json.loads(archer("show", "1", "--json")[1])
    assert "## 3. Expected effect" in shown["report"]
    assert "## 6. Measured against expected" in shown["report"]
    assert archer("diff", record["name"], "--json")[1].count("\\n+") > 0
    code, out, _ = archer("replay", "1", "--evaluate", "--json")
    assert (code, {step["answer"] for step in json.loads(out)["steps"]}) == (DONE, {"identical"})
    assert archer("verify", "--quiet")[0] == DONE
    first, again = (json.loads(archer("report", "--out", "site", "--json")[1]) for _ in range(2))
    assert (first["proposals"], first["unchanged"], first["damaged"]) == (1, 0, {})
    assert Path(first["index"]).is_file()
    assert (again["written"], again["unchanged"]) == (0, first["written"])


def test_own_bug_is_exit_code_3_with_the_trace_kept(archer: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agent.commands.listing.existing_archive", lambda _: 1 / 0)
    code, _, err = archer("list")
    assert code == 3
    assert "ZeroDivisionError" in err
    assert "ZeroDivisionError" in Path(err.split()[-1]).read_text()
