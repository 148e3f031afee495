"""`archer evaluate --add` to its end: the record on disk, its commit, its row; and what a second call adds."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.errors import DONE, NO, USAGE
from archive.seeding import make_archive
from archive.store import Archive
from archive.verify import problems
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import SMOKE
from evaluator.tasks.registry import MAD_TASKS
from tests.agent.commands.conftest import Run
from tests.git_command import git
from variants.contract import BASELINE
from variants.seeds import seed_variants

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("lent_sandbox")]

NAME = "delta_net_4layer_mine_in_for_loop"
SOURCE = seed_variants()[BASELINE].source
FORGETFUL = SOURCE.replace("S = S + k_i.mT @ u_i", "S = 0.97 * S + k_i.mT @ u_i")
LEAKY = SOURCE.replace(".triu(1)", ".triu(2)")


def written(folder: Path, source: str) -> Path:
    """A file of the user's, by the name of the variant."""
    path = folder / f"{NAME}.py"
    path.write_text(source, encoding="utf-8")
    return path


@dataclass(frozen=True)
class Added:
    """An archive after the first call, the file that was evaluated, and what was printed."""

    root: Path
    file: Path
    answer: dict[str, Any]


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Added:
    """All six tasks of a variant of the user's, by a process of its own."""
    folder = tmp_path_factory.mktemp("added")
    root, file = make_archive(folder / "search").root, written(folder, FORGETFUL)
    command = [sys.executable, "-m", "agent.cli", "evaluate", str(file), "--protocol", "smoke", "--add"]
    done = subprocess.run([*command, "--archive", str(root), "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == DONE, done.stderr
    return Added(root, file, json.loads(done.stdout))


@pytest.fixture
def root(added: Added, tmp_path: Path) -> Path:
    """A copy of that archive, to go on with."""
    shutil.copytree(added.root, tmp_path / "search")
    return tmp_path / "search"


def evaluate(archer: Run, root: Path, *arguments: object) -> tuple[int, str, str]:
    return archer("evaluate", *arguments, "--protocol", "smoke", "--archive", root, "--add", "--quiet")


def row(root: Path, name: str = NAME) -> list[float] | None:
    """The variant's six means on the leaderboard as it lies on disk, if it is there."""
    rows = dict(line.split(",", 1) for line in (root / "leaderboards" / "smoke.csv").read_text().splitlines())
    return [float(cell) for cell in rows[name].split(",")] if name in rows else None


def run_of(trials: Iterable[Trial]) -> set[tuple[str, int]]:
    return {(trial.task, trial.seed) for trial in trials}


def sound(root: Path) -> bool:
    """Nothing is left uncommitted, half-written or without its trials."""
    return git(root, "status", "--porcelain") == "" and list(problems(Archive(root))) == []


def test_the_answer_is_that_of_a_scored_variant(added: Added) -> None:
    assert (added.answer["status"], added.answer["verdict"]) == ("SCORED", "pass")
    assert {task: score["n"] for task, score in added.answer["scores"].items()} == dict.fromkeys(MAD_TASKS, 1)
    assert added.answer["versus_parent"]["against"] == BASELINE
    assert added.answer["versus_parent"]["tasks"]["Memorize"]["outcome"] == "inert"
    assert added.answer["cpu_seconds"] > 0


def test_the_record_on_disk_is_a_proposal_made_by_hand(added: Added) -> None:
    archive = Archive(added.root)
    assert archive.ids() == [f"0001-{NAME}"]
    record = archive.record("1")
    assert (record.status, record.protocol, record.protocol_hash) == (Status.SCORED, "smoke", SMOKE.hash)
    assert (record.proposal.parent, record.proposal.provenance.proposer) == (BASELINE, "hand")
    assert (record.proposal.predictions, record.predicted) == ({}, None)
    assert record.proposal.variant.source == FORGETFUL
    assert (added.root / "variants" / f"{NAME}.py").read_text(encoding="utf-8") == FORGETFUL
    assert run_of(record.trials) == {(task, 0) for task in MAD_TASKS}
    assert {trial.task for trial in record.trials if trial.inherited_from == BASELINE} == {"Memorize"}
    assert record.scorecard is not None
    assert {t: score.mean for t, score in record.scorecard.scores.items()} == {
        task: score["mean"] for task, score in added.answer["scores"].items()
    }
    assert record.check is not None
    assert record.check.verdict == "pass"
    assert record.cost.cpu_seconds == pytest.approx(added.answer["cpu_seconds"])
    assert "No predictions were made." in archive.report(record)


def test_one_commit_has_all_of_it(added: Added) -> None:
    subjects = git(added.root, "log", "--format=%s").splitlines()
    assert subjects[0] == f"0001-{NAME}: SCORED"
    assert len(subjects) == 2
    trailers = git(added.root, "log", "-1", "--format=%(trailers:only,unfold)").split("\n")
    wanted = {f"Parent: {BASELINE}", "Status: SCORED", f"Protocol: smoke {SMOKE.hash}", "Proposer: hand"}
    assert wanted <= set(trailers)
    assert sound(added.root)
    assert not Archive(added.root).unfinished.exists()


def test_the_leaderboard_has_its_row(added: Added, archer: Run) -> None:
    means = [added.answer["scores"][task]["mean"] for task in MAD_TASKS]
    assert row(added.root) == pytest.approx(means, abs=1e-6)
    code, out, _ = archer("leaderboard", "--protocol", "smoke", "--archive", added.root, "--json")
    (shown,) = [each for each in json.loads(out)["rows"] if each["name"] == NAME]
    assert (code, [shown["scores"][task]["mean"] for task in MAD_TASKS]) == (DONE, means)


def test_a_second_call_adds_the_seeds_that_are_new_and_a_third_adds_nothing(
    added: Added, root: Path, archer: Run
) -> None:
    more = (added.file, "--tasks", "Compress,Memorize", "--seeds", 2)
    code, out, err = evaluate(archer, root, *more)
    assert (code, err) == (DONE, "")
    assert f"added 2 trials of {NAME} to" in " ".join(out.split())
    archive = Archive(root)
    assert archive.ids() == [f"0001-{NAME}"]
    assert run_of(archive.further_trials("smoke")[NAME]) == {("Compress", 1), ("Memorize", 1)}
    assert git(root, "log", "-1", "--format=%s") == f"Measure {NAME} under smoke\n"
    both = [t.accuracy for t in archive.trials("smoke")[NAME] if t.task == "Compress"]
    assert len(both) == 2
    assert row(root) == pytest.approx([sum(both) / 2, *row(added.root)[1:]], abs=1e-6)
    assert sound(root)
    head = git(root, "rev-parse", "HEAD")
    assert evaluate(archer, root, *more)[0] == DONE
    assert git(root, "rev-parse", "HEAD") == head


def test_what_was_evaluated_and_not_added_is_trained_once(root: Path, archer: Run, tmp_path: Path) -> None:
    command = (
        "evaluate",
        written(tmp_path, FORGETFUL),
        "--protocol",
        "smoke",
        "--archive",
        root,
        "--tasks",
        "Compress",
    )
    code, first, err = archer(*command, "--json")
    assert (code, "the archive has 1 of 1 trial: --add takes them" in err) == (DONE, True)
    assert Archive(root).unfinished.exists()
    again = json.loads(archer(*command, "--json")[1])
    assert again["cpu_seconds"] < json.loads(first)["cpu_seconds"], "but for the parent, to compare bits with"
    assert "nothing to add" in archer(*command, "--add")[1]
    assert not Archive(root).unfinished.exists()


def test_a_proposal_that_gets_its_missing_tasks_is_one_record_with_all_of_them(
    root: Path, archer: Run, tmp_path: Path
) -> None:
    other = tmp_path / f"{NAME.replace('mine', 'fading')}.py"
    other.write_text(FORGETFUL.replace("0.97", "0.8"), encoding="utf-8")
    assert evaluate(archer, root, other, "--tasks", "Compress")[0] == DONE
    code, out, _ = evaluate(archer, root, other)
    assert (code, "is now told under smoke" in " ".join(out.split())) == (DONE, True)
    record = Archive(root).record("2")
    assert run_of(record.trials) == {(task, 0) for task in MAD_TASKS}
    assert record.scorecard is not None
    assert row(root, record.proposal.variant.name) is not None
    assert all(len(verdict.tasks) == len(MAD_TASKS) for verdict in record.verdicts)
    assert sound(root)


def test_other_code_of_that_name_is_another_proposal(root: Path, archer: Run, tmp_path: Path) -> None:
    other = written(tmp_path, FORGETFUL.replace("0.97", "0.9"))
    assert evaluate(archer, root, other, "--tasks", "Compress")[0] == DONE
    second = Archive(root).record("2")
    assert second.proposal.variant.name == NAME.replace("mine", "mine_2")
    assert {trial.variant for trial in second.trials} == {second.proposal.variant.name}
    assert row(root, second.proposal.variant.name) is None, "one task is no row"
    assert "nothing to add" in evaluate(archer, root, other, "--tasks", "Compress")[1], "it is there, as mine_2"
    assert len(Archive(root).ids()) == 2
    assert sound(root)


def test_a_variant_that_a_check_fails_is_archived_as_rejected(root: Path, archer: Run, tmp_path: Path) -> None:
    code, out, _ = evaluate(archer, root, written(tmp_path, LEAKY), "--json")
    document = json.loads(out)
    assert (code, document["status"], document["scores"]) == (NO, "REJECTED", {})
    record = Archive(root).record("2")
    assert (record.status, record.trials, record.scorecard) == (Status.REJECTED, (), None)
    assert "causality" in record.reason
    assert row(root, record.proposal.variant.name) is None
    assert "Status: REJECTED" in git(root, "log", "-1", "--format=%B")
    assert sound(root)
    head = git(root, "rev-parse", "HEAD")
    code, out, _ = evaluate(archer, root, written(tmp_path, LEAKY))
    assert (code, git(root, "rev-parse", "HEAD")) == (NO, head), "asked again, it is there"
    assert out.splitlines()[-1].startswith("nothing to add: ")
    assert out.rstrip().endswith("has it as proposal 2, REJECTED")


def test_a_seed_gets_further_trials_and_becomes_no_proposal(root: Path, archer: Run) -> None:
    before = row(root, BASELINE)
    assert evaluate(archer, root, BASELINE, "--tasks", "Compress", "--seeds", 2)[0] == DONE
    archive = Archive(root)
    assert archive.ids() == [f"0001-{NAME}"]
    assert run_of(archive.further_trials("smoke")[BASELINE]) == {(task, 0) for task in MAD_TASKS} | {("Compress", 1)}
    assert row(root, BASELINE)[1:] == before[1:]
    assert sound(root)


def test_without_an_archive_nothing_is_trained(archer: Run, tmp_path: Path) -> None:
    code, out, err = evaluate(archer, tmp_path / "none", BASELINE)
    assert (code, out) == (USAGE, "")
    assert "archer init" in err
    assert list(tmp_path.iterdir()) == []
