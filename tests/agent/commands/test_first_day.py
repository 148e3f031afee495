"""What a new user types on the first day, and what archer says: names, first words, partial results, messages."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import run
from agent.commands.registry import COMMANDS, find
from agent.errors import DONE, NO, USAGE
from agent.replaying.machine import environment
from archive.store import Archive
from evaluator.fence.advice import importable
from evaluator.outcomes import Status
from evaluator.protocols.built_in import QUICK, STANDARD
from evaluator.protocols.protocol import trial_specs
from evaluator.statistics.moderated_t_test import noise_by_task
from evaluator.statistics.scorecards import scorecard
from evaluator.statistics.verdicts import verdict
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_archive_of, make_record, make_trial, make_trials
from variants.contract import BASELINE, REFERENCE
from variants.seeds import seed_variants

Run = Callable[..., tuple[int, str, str]]
GELU = "delta_net_4layer_gelu_on_prediction_error_in_for_loop"
PARTIAL = "delta_net_4layer_partial_in_for_loop"
WHOLE = "delta_net_4layer_whole_in_for_loop"


@pytest.fixture
def archer(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHER_ARCHIVE", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.fixture
def search(tmp_path: Path) -> Archive:
    """`archer-archive` with the references, a proposal with all tasks, and a very good one with Memorize alone."""
    seeds = [seed_variants()[name] for name in (BASELINE, REFERENCE, GELU)]
    trials = [trial for seed in seeds for trial in make_trials(seed, [0.5, 0.55, 0.48])]
    made = make_archive_of(tmp_path / "archer-archive", seeds, trials, published=True)
    made.tell(make_record(name=WHOLE, source=seeds[2].source + "# whole\n"), "# whole\n")
    record = make_record(name=PARTIAL, source=seeds[2].source + "# partial\n")
    own = tuple(make_trial(record.proposal.variant, "Memorize", seed, 0.95) for seed in range(3))
    against = tuple(verdict(own, [t for t in trials if t.variant == seed.name], seed.name, {}) for seed in seeds[:2])
    made.tell(
        record.model_copy(update={"trials": own, "scorecard": scorecard(own), "verdicts": against}), "# partial\n"
    )
    return made


def row_of(text: str, name: str) -> dict[str, str]:
    return next(row for row in csv.DictReader(io.StringIO(text)) if row["name"] == name)


def test_what_was_not_measured_is_empty_everywhere_and_counted_nowhere(archer: Run, search: Archive):
    rows = {row["name"]: row for row in json.loads(archer("leaderboard", "--json")[1])["rows"]}
    assert (rows[PARTIAL]["mean"], rows[PARTIAL]["n"], set(rows[PARTIAL]["scores"])) == (None, 0, {"Memorize"})
    assert list(rows)[-1] == PARTIAL, "a row without a mean comes last"
    line = next(line for line in archer("leaderboard")[1].splitlines() if line.startswith("partial"))
    assert line.split() == ["partial", *5 * ["–"], "0.950", "±0.000", "°", "▲", "–", "–", "–", "17.3k"]
    assert "partial" not in archer("leaderboard", "--csv")[1]
    table = row_of(archer("leaderboard", "--format", "csv")[1], PARTIAL)
    filled = {key for key, value in table.items() if value and not key.startswith("Memorize")}
    assert filled == {"name", "mixer parameters"}
    assert table["Memorize verdict"] == "better"
    assert PARTIAL not in archer("leaderboard", "--front", "--json")[1]
    assert json.loads(archer("list", "--json")[1])[1]["scores"].keys() == {"Memorize"}


def test_a_partial_proposal_takes_part_in_no_discovery(archer: Run, search: Archive):
    found = json.loads(archer("leaderboard", "--json")[1])["discoveries"]
    for family in found.values():
        assert (family["tried"], family["untestable"]) == (1, 0)
        assert {test["name"] for test in (*family["means"], *family["tasks"])} == {WHOLE}
    assert "mean of six" not in archer("show", "partial", "--no-pager")[1]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["show", "whole"], WHOLE),
        (["diff", "whole"], WHOLE),
        (["export", "whole"], WHOLE),
        (["versus", "whole"], WHOLE),
        (["versus", "2", "whole"], WHOLE),
        (["diff", "gelu_on_prediction_error"], GELU),
        (["export", "gelu_on_prediction_error"], GELU),
    ],
)
def test_a_short_name_works_wherever_a_variant_is_named(archer: Run, search: Archive, command: list[str], names: str):
    code, out, err = archer(*command, "--json")
    assert code == DONE, err
    assert names in out


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_a_short_name_works_as_a_parent_and_for_what_trains(archer: Run, search: Archive):
    assert len(json.loads(archer("list", "--parent", BASELINE, "--json")[1])) == 2
    search.tell(make_record(Status.REJECTED, name="child", parent=WHOLE), "# child\n")
    assert [row["name"] for row in json.loads(archer("list", "--parent", "whole", "--json")[1])] == ["child"]
    code, out, err = archer(
        "evaluate", "gelu_on_prediction_error", "--parent", "whole", "--protocol", "smoke", "--tasks", "Memorize",
        "--json",
    )  # fmt: skip
    assert code == DONE, err
    assert (code, json.loads(out)["name"]) == (DONE, GELU)
    assert json.loads(archer("replay", "whole", "--json")[1])["name"] == WHOLE
    assert "the archive has no such variant" in archer("propose", "--parent", "nobody", "--n", "0", "--no-confirm")[2]
    assert archer("propose", "--parent", "whole", "--n", "0", "--no-confirm", "--quiet")[0] == DONE


def test_an_ambiguous_short_name_lists_the_candidates(archer: Run, search: Archive):
    search.tell(make_record(Status.REJECTED, name="whole_in_for_loop"), "# another\n")
    for command in ("show", "diff", "export", "versus", "evaluate"):
        code, _, err = archer(command, "whole")
        assert code == USAGE
        assert f"{WHOLE}, whole_in_for_loop" in err
    assert json.loads(archer("show", WHOLE, "--json")[1])["name"] == WHOLE


def test_archer_alone_says_how_to_begin(archer: Run):
    code, out, err = archer()
    assert (code, err) == (DONE, "")
    assert len(out.splitlines()) < 30
    for told in ("archer propose --n 5", "archer new delta_net_4layer my_idea", "archer --help"):
        assert told in out


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["list", "-h"], ["--version"]])
def test_help_and_version_are_answers(archer: Run, arguments: list[str]):
    code, out, err = archer(*arguments)
    assert (code, err) == (DONE, "")
    assert out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_summary_of_a_command_is_the_first_line_of_its_help(command: str):
    assert (find(command).__doc__ or "").splitlines()[0].startswith(COMMANDS[command])


@pytest.mark.slow
def test_a_shell_completes_commands_without_waiting_for_them_and_options_of_one():
    def complete(words: str) -> str:
        asked = {"_ARCHER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        code = "import sys; sys.argv = ['archer']; from agent.cli import main; main()"
        command = [sys.executable, "-X", "importtime", "-c", code]
        done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
        imported = "agent.commands.listing" in done.stderr
        assert imported == (words.count(" ") > 1), "commands are listed without being imported"
        assert "torch" not in done.stderr
        return done.stdout

    assert {"leaderboard", "versus"} <= set(complete("archer ").split())
    assert complete("archer lea").split() == ["leaderboard"]
    assert "--status" in complete("archer list --s").split()


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_a_new_file_has_a_guide_passes_the_checks_and_names_its_parent(archer: Run, search: Archive):
    code, out, _ = archer("new", "gelu_on_prediction_error", "my_idea", "--json")
    assert (code, json.loads(out)["parent"]) == (DONE, GELU)
    text = Path("my_idea.py").read_text()
    for told in ("archer check my_idea.py --parent gelu_on_prediction_error", "--add", "torch, types, typing",
                 f"The parent is {GELU}", "archer versus my_idea"):  # fmt: skip
        assert told in " ".join(text.split()), told
    code, out, _ = archer("check", "my_idea.py", "--parent", "gelu_on_prediction_error", "--json")
    report = json.loads(out)
    assert (code, report["verdict"]) == (DONE, "pass")
    scope = next(finding for finding in report["findings"] if finding["check"] == "scope")
    assert (scope["status"], GELU in scope["message"]) == ("pass", True)
    assert json.loads(archer("diff", "my_idea.py", "gelu_on_prediction_error", "--json")[1])["diff"] == ""
    assert archer("new", BASELINE, "my_idea")[2].startswith("archer: my_idea.py exists")


@pytest.mark.parametrize(("name", "works"), [("a", True), ("a2_b", True), ("A", False), ("2a", False), ("a-b", False)])
def test_any_name_that_works_is_said_to_work(archer: Run, name: str, works: bool):
    code, _, err = archer("new", BASELINE, name)
    assert (code == DONE) == works
    if works:
        assert archer("export", f"{name}.py")[0] == DONE
    else:
        assert "begin with a lower-case letter" in err
        assert "lower-case letters, digits and _" in err
        Path(f"{name}.py").write_text(seed_variants()[BASELINE].source)
        assert "begin with a lower-case letter" in archer("check", f"{name}.py")[2]


def test_versus_shows_both_and_the_paired_difference(archer: Run, search: Archive):
    found = json.loads(archer("versus", "whole", "gelu_on_prediction_error", "--json")[1])
    assert (found["name"], found["against"], found["protocol"]["name"]) == (WHOLE, GELU, "quick")
    ours, theirs = make_trials(WHOLE, 0.6), make_trials(GELU, [0.5, 0.55, 0.48])
    noise = noise_by_task(search.trials("quick"), MAD_TASKS)
    assert found["verdict"] == json.loads(verdict(ours, theirs, GELU, noise).model_dump_json())
    assert found["mean_difference"]["difference"] == pytest.approx(0.1)
    shown = archer("versus", "partial")[1]
    assert "no mean: one of the two lacks a score on some of the six tasks" in shown
    assert sum("–" in line for line in shown.splitlines()) == len(MAD_TASKS)


def test_versus_a_control_shows_what_lies_above_the_floor(archer: Run):
    found = json.loads(archer("versus", "own_value_skip", "control_own_value", "--protocol", "quick", "--json")[1])
    outcomes = {task: each["outcome"] for task, each in found["verdict"]["tasks"].items()}
    assert outcomes["Memorize"] == "indistinguishable"
    assert outcomes["Context Recall"] == "better"
    code, _, err = archer("versus", "own_value_skip", "control_zero", "--protocol", "mad")
    assert (code, "has no score under mad" in err) == (USAGE, True)
    assert archer("versus", "control_zero")[0] == USAGE  # a control is no variant


def test_compare_asks_before_it_trains_for_hours(archer: Run, tmp_path: Path):
    for asked in (["compare"], ["compare", "--proposers", "evolve,random"], ["compare", "--n", "3"]):
        code, _, err = archer(*asked)
        assert code == USAGE
        assert "would train" in err
        assert "on one core" in err
        assert "archer versus A B" in err
    assert list(tmp_path.iterdir()) == []


def test_a_verdict_has_one_word_for_people_and_keeps_its_own_in_json(archer: Run, search: Archive):
    trials = [make_trial(GELU, task, seed, 0.5 + seed / 50, inherited_from=BASELINE) for task in MAD_TASKS
              for seed in range(3)]  # fmt: skip
    own = [make_trial(BASELINE, task, seed, 0.5 + seed / 50) for task in MAD_TASKS for seed in range(3)]
    same, noise = verdict(trials, own, BASELINE, {}), verdict(make_trials("y", [0.5, 0.6, 0.4]), own, BASELINE, {})
    record = make_record(name="worded", verdicts=(same, noise.model_copy(update={"against": REFERENCE})))
    search.tell(record, "# worded\n")
    people = archer("show", "worded", "--no-pager")[1]
    people += archer("versus", "whole")[1] + archer("leaderboard", "--format", "csv")[1]
    assert "within noise" in people
    assert "cannot differ" in people
    assert "indistinguishable" not in people
    assert "inert" not in people
    kept = archer("show", "worded", "--json")[1]
    assert '"indistinguishable"' in kept
    assert '"inert"' in kept


def test_statuses_ignore_case(archer: Run, search: Archive):
    for given in ("scored", "Scored", "SCORED"):
        code, out, _ = archer("list", "--status", given, "--json")
        assert (code, len(json.loads(out))) == (DONE, 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "--archive", "/etc/passwd"], "/etc/passwd is a file, and an archive is a folder"),
        (["init", "/etc/passwd"], "/etc/passwd is a file, and an archive is a folder"),
        (["merge", "/etc/passwd"], "/etc/passwd is a file, and no archive"),
        (["merge", "plain"], "plain is a folder, but no git repository"),
        (["list", "--archive", "torn"], "torn is a folder, but no git repository"),
        (["check", "plain"], "plain is a folder, not a variant file"),
        (["evaluate", "plain"], "plain is a folder, and no variant is called so"),
        (["import-csv", "plain"], "plain is a folder; name a CSV file"),
        (["export", "whole", "--patch", "--against", "other.py"], "--against other.py: it has no function"),
        (["export", "whole", "--patch", "--against", "plain"], "plain is a folder"),
    ],
)  # fmt: skip
def test_the_file_named_is_the_file_that_is_wrong(archer: Run, search: Archive, arguments: list[str], says: str):
    Path("plain").mkdir()
    Path("torn").mkdir()
    Path("torn/archive.json").write_bytes((search.root / "archive.json").read_bytes())
    Path("other.py").write_text("x = 1\n")
    code, _, err = archer(*arguments)
    assert code == USAGE
    assert says in err.splitlines()[-1]
    assert len(err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_a_failed_check_ends_in_a_sentence_and_is_archived_with_add(archer: Run, search: Archive):
    Path("leaky.py").write_text(seed_variants()[BASELINE].source.replace(".triu(1)", ".triu(2)"))
    code, out, _ = archer("evaluate", "leaky.py", "--add", "--protocol", "smoke")
    assert code == NO
    *_, told, added = out.strip().splitlines()
    assert told.startswith("REJECTED: ")
    assert told.endswith("failed, so nothing was trained.")
    assert added == "archived as proposal 3, leaky, REJECTED, in archer-archive"
    again = archer("evaluate", "leaky", "--add", "--protocol", "smoke")[1].strip().splitlines()[-1]
    assert again == "nothing to add: archer-archive has it as proposal 3, REJECTED"


@pytest.mark.slow
def test_one_is_not_several(archer: Run, tmp_path: Path):
    seeds = [seed_variants()[name] for name in (BASELINE, REFERENCE)]
    made = make_archive_of(tmp_path / "archer-archive", seeds)
    made.tell(make_record(name=WHOLE, trials=make_trials(WHOLE, [0.5])), "# one\n")
    said = archer("verify")[1] + archer("report")[1] + archer("leaderboard")[1] + archer("doctor")[1]
    assert "1 proposal" in said
    assert "1 proposals" not in said
    assert "1 problems" not in said


@pytest.mark.slow
@pytest.mark.usefixtures("lent_sandbox")
def test_memory_is_not_said_to_be_nothing(archer: Run):
    err = archer("evaluate", BASELINE, "--protocol", "smoke", "--tasks", "Memorize")[2]
    assert "memory: " in err
    assert "0.0 GiB" not in err


@pytest.mark.slow
def test_an_archive_that_cannot_be_written_is_evaluated_against(search: Archive, tmp_path: Path):
    command = f"{sys.executable} -m agent.cli evaluate whole --protocol smoke --tasks Memorize --quiet"
    script = f"mount --bind {search.root} {search.root} && mount -o remount,bind,ro {search.root} && cd {tmp_path} && "
    script += f"! touch {search.root}/x 2>/dev/null && {command}"
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip("no user namespaces here, so no read-only file system")
    assert done.returncode == DONE, done.stderr
    assert "Memorize" in done.stdout


def test_terminal_and_site_round_alike(archer: Run, search: Archive):
    archer("report", "--out", "site")
    page = Path("site", f"front-quick-{QUICK.hash[:8]}.html").read_text()
    for row in json.loads(archer("leaderboard", "--front", "--json")[1])["rows"]:
        if row["standing"].endswith("front"):
            assert f"<td>{row['mean']:.3f}</td>" in page


def test_advice_to_measure_names_the_protocol(archer: Run, search: Archive):
    code, _, err = archer("versus", WHOLE, "--protocol", "smoke")
    assert code == USAGE
    assert f"`archer evaluate {WHOLE} --protocol smoke --add` measures it" in err


def test_versus_compares_under_the_largest_protocol_that_has_both(archer: Run, search: Archive):
    seed = search.variants()[BASELINE]
    made = search.variants()[WHOLE]
    for variant, accuracy in ((seed, 0.4), (made, 0.6)):
        settings = [(spec.task, spec.setting, spec.seed) for spec in trial_specs(STANDARD)]
        search.tell_trials(
            [
                make_trial(variant, task, number, accuracy, setting=setting, protocol=STANDARD)
                for task, setting, number in settings
            ]
        )
    assert json.loads(archer("versus", WHOLE, "--json")[1])["protocol"]["name"] == "standard"
    assert json.loads(archer("versus", WHOLE, REFERENCE, "--json")[1])["protocol"]["name"] == "quick"


def test_an_archive_that_is_not_there_is_named(archer: Run):
    code, out, err = archer("leaderboard", "--archive", "nosuch")
    assert code == DONE
    assert "no archive at nosuch: this is what ships with archer" in err
    assert "delta_net_4layer" in out


def test_the_first_command_after_new_compares_with_the_parent_of_the_guide(archer: Run, search: Archive):
    out = archer("new", "gelu_on_prediction_error", "my_idea")[1]
    assert "archer check my_idea.py --parent gelu_on_prediction_error" in " ".join(out.split())
    guide = " ".join(Path("my_idea.py").read_text().split())
    assert ", ".join(importable()) in guide


def test_a_replay_compares_with_where_the_proposal_itself_was_trained():
    inherited = make_trial(inherited_from=BASELINE, versions={"torch": "0.1"})
    trained = make_trial(versions={"torch": "0.2"})
    assert environment((trained, inherited))["torch"]["recorded"] == "0.2"
    assert environment((inherited,))["torch"]["recorded"] == "0.1"
