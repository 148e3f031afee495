"""The pandas view of an archive: tidy, complete, typed, and shown in a notebook that runs."""

from pathlib import Path

import pytest

import archive as archives
from archive.records.record import Prediction
from archive.store import Archive
from archive.tables.leaderboard_csv import read_leaderboard
from evaluator.outcomes import CurvePoint, Status
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_record, make_trials, make_variant
from tests.waiting import PATIENCE
from variants.contract import BASELINE

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"


@pytest.fixture
def filled(archive: Archive) -> Archive:
    curve = (CurvePoint(step=1, loss=2.0), CurvePoint(step=2, loss=1.0))
    archive.tell(make_record(trials=make_trials(make_variant(), 0.6, curve=curve)), "r")
    archive.tell(make_record(Status.REJECTED, name="other", reason="causality"), "r")
    return archive


def test_trials_have_a_row_each_and_say_whose_they_are(filled: Archive):
    trials = archives.open(filled.root).trials()
    assert len(trials) == 2 * 18
    assert trials["accuracy"].dtype == float
    own = trials[trials["proposal"] == 1]
    assert set(own["status"]) == {"SCORED"}
    assert set(own["parent"]) == {BASELINE}
    assert set(own["proposer"]) == {"evolve"}
    seeds = trials[trials["proposal"].isna()]
    assert set(seeds["name"]) == {BASELINE}
    assert seeds["parent"].isna().all()
    paired = own.merge(seeds, on=["task", "setting", "lr", "weight_decay", "seed"])
    assert (paired["accuracy_x"] - paired["accuracy_y"]).round(6).eq(0.1).all()


def test_scores_are_those_of_the_scorecard(filled: Archive):
    scores = archives.open(str(filled.root)).scores()
    card = filled.record("1").scorecard
    assert card is not None
    own = scores[scores["proposal"] == 1].set_index("task")
    assert {task: own.loc[task, "low"] for task in MAD_TASKS} == {task: card.scores[task].low for task in MAD_TASKS}
    assert set(scores["n"]) == {3}


def test_scores_are_those_of_the_leaderboard_where_a_pruned_proposal_was_added(archive: Archive):
    variant = make_variant("stopped_early")
    whole = make_trials(variant, 0.7)
    archive.tell(make_record(Status.PRUNED, variant.name, trials=whole[:4]), "r")
    archive.tell_trials(whole)
    frames = archives.open(archive.root)
    means = frames.scores().pivot(index="name", columns="task", values="mean")[list(MAD_TASKS)]
    board = read_leaderboard(archive.root / "leaderboards" / "quick.csv")
    assert means.round(6).values.tolist() == board.loc[means.index].values.tolist()
    assert set(board.index) == set(means.index) == {BASELINE, variant.name}
    assert len(frames.trials()) == 2 * 18, "the four that both have count once"


def test_predictions_stand_beside_what_was_measured(filled: Archive):
    predictions = archives.open(filled.root).predictions()
    scored, rejected = (predictions[predictions["proposal"] == number] for number in (1, 2))
    assert scored["error"].round(6).eq(0.11).all()
    assert not scored["inside"].any()
    assert rejected["measured"].isna().all()
    assert rejected["inside"].isna().all()


def test_an_exact_prediction_that_came_true_to_its_four_digits_is_inside(archive: Archive):
    exact = {task: Prediction(mean=at, low=at, high=at) for task, at in (("Memorize", 0.60995), ("Compress", 0.6098))}
    archive.tell(make_record(predictions=exact), "r")
    inside = archives.open(archive.root).predictions().set_index("task")["inside"]
    assert inside.to_dict() == {"Memorize": True, "Compress": False}


def test_proposals_and_curves(filled: Archive):
    frames = archives.open(filled.root)
    proposals, curves = frames.proposals(), frames.curves()
    assert list(proposals["status"]) == ["SCORED", "REJECTED"]
    assert str(proposals["created"].dt.tz) == "UTC"
    assert proposals["mean"].isna().tolist() == [False, True]
    assert len(curves) == 2 * 18
    assert set(curves.groupby(["task", "seed"])["loss"].last()) == {1.0}


def test_archive_without_proposals_has_the_same_columns(archive: Archive, filled: Archive):
    empty, full = archives.open(archive.root), archives.open(filled.root)
    for name in ("trials", "scores", "predictions", "proposals", "curves"):
        assert list(getattr(empty, name)().columns) == list(getattr(full, name)().columns)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs_and_is_committed_without_output(filled: Archive, path: Path, monkeypatch: pytest.MonkeyPatch):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    monkeypatch.setenv("ARCHER_ARCHIVE", str(filled.root))
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOKS.parents[1]))
    NotebookClient(notebook, timeout=PATIENCE, startup_timeout=PATIENCE, kernel_name="python3").execute()
    assert "delta_net_4layer_x_in_for_loop" in str(cells[-1].outputs)
