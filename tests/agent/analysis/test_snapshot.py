"""What a proposer may know: the published leaderboard, where the archive has one, with the scores that it has."""

import math
from pathlib import Path

import numpy as np
import pytest

from agent.analysis.boards.board import published_board
from agent.analysis.snapshot import noise, published, take_snapshot
from agent.proposers.evolution.evolve import EvolveProposer
from agent.proposers.llm.prompt.content.focus import Focus
from agent.proposers.llm.prompt.content.parents import select_parents
from agent.proposers.llm.prompt.gather import gather
from agent.reports.claims.contradictions import contradictions
from archive.tables.leaderboard_csv import PUBLISHED, read_leaderboard
from evaluator.protocols.built_in import QUICK, STANDARD
from evaluator.statistics.scorecards import lazy_trials
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_archive_of, make_snapshot, make_trial
from variants.contract import BASELINE
from variants.seeds import seed_variants


def test_an_archive_without_a_published_leaderboard_is_asked_like_any_other(tmp_path: Path):
    archive = make_archive_of(tmp_path / "a", list(seed_variants().values()), [], published=False)
    table = published(archive)
    assert (list(table.columns), len(table)) == (list(MAD_TASKS), 0)
    told = take_snapshot(archive, QUICK.name, seed=0)
    assert EvolveProposer().ask(told).proposal.variant.name not in seed_variants()


def test_the_noise_of_a_seed_is_that_of_the_mean_over_a_tasks_settings():
    settings = [setting.id for setting in STANDARD.tasks["Memorize"].settings]
    table = np.array([[0.9, 0.1], [0.2, 0.9], [0.8, 0.3]])
    own = [
        make_trial("x", "Memorize", seed, x, protocol=STANDARD, setting=setting)
        for seed, row in enumerate(table)
        for setting, x in zip(settings, row, strict=True)
    ]
    inherited = [trial.model_copy(update={"variant": "y", "inherited_from": "x"}) for trial in own]
    for known in ({"x": own}, {"x": own, "y": inherited}, {"x": lazy_trials(own), "y": lazy_trials(inherited)}):
        assert noise(known, ["Memorize"]) == {"Memorize": pytest.approx(table.mean(axis=1).std(ddof=1))}


def test_a_task_that_a_published_row_lacks_is_no_score_anywhere():
    table = read_leaderboard(PUBLISHED)
    table.loc[BASELINE, "Memorize"] = math.nan
    told = make_snapshot(published=table)
    board = published_board(told)
    assert set(board.scores[BASELINE]) == set(MAD_TASKS) - {"Memorize"}
    assert BASELINE not in board.whole
    facts = gather(told, "code", "model", select_parents(told, "code", Focus()), Focus(), {})
    (row,) = [row for row in facts.published if row.name == BASELINE]
    assert "nan" not in "".join(row.cells)
    assert list(contradictions(f"{BASELINE} has Memorize 0.9.", told)) == []
    assert EvolveProposer().ask(told).proposal.variant.name not in seed_variants()
