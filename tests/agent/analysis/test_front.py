"""Pareto dominance on means and beyond chance, pairing, correction, and the distance to the reference."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from agent.analysis.boards.board import Board
from agent.analysis.differences.front import RATE, dominators, nearest, places, surely_front
from agent.analysis.differences.paired_differences import PairedDifferences, open_paired_differences
from agent.analysis.replicates import SeedDeviation
from agent.analysis.snapshot import take_snapshot
from agent.cli import run
from agent.errors import DONE, USAGE
from agent.proposers.evolution.evolve import EvolveProposer
from archive.seeding import shipped_by_variant
from archive.store import Archive
from evaluator.statistics.moderated_t_test import effect, noise_by_task, paired
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import make_provenance, make_record, make_scores, make_trial
from variants.contract import BASELINE, REFERENCE

NOISE = 0.01
DECAY = "delta_net_4layer_decay_state_update_in_for_loop"


def single(rows: Mapping[str, Sequence[float]], groups: tuple[tuple[str, ...], ...] = ()) -> PairedDifferences:
    """A board of one seed a row, not paired."""
    scores = {name: make_scores(*row, n=1) for name, row in rows.items()}
    spreads = {task: SeedDeviation(NOISE, 1000) for task in MAD_TASKS}
    return PairedDifferences(Board("made up", "mad", scores, spreads, dict.fromkeys(MAD_TASKS, groups)), {})


def measured(rows: Mapping[str, Sequence[Sequence[float]]]) -> PairedDifferences:
    """A board of paired seeds: by name, tasks × seeds."""
    trials = {
        name: [
            make_trial(name, task, seed, x)
            for task, row in zip(MAD_TASKS, table, strict=True)
            for seed, x in enumerate(row)
        ]
        for name, table in rows.items()
    }
    scores = {name: make_scores(*map(fmean, table), half=1.0, n=len(table[0])) for name, table in rows.items()}
    return PairedDifferences(
        Board("made up", "quick", scores, {task: SeedDeviation(0.5, 10) for task in MAD_TASKS}), trials
    )


def test_dominated_on_the_means_is_not_yet_surely_dominated() -> None:
    made = single({"a": [0.5] * 6, "b": [0.49] * 6, "c": [0.4] * 6, "d": [0.9] + [0.1] * 5})
    found = {place.name: place for place in places(made)}
    assert {name: place.standing for name, place in found.items()} == {
        "a": "front", "b": "dominated", "c": "surely dominated", "d": "surely front",
    }  # fmt: skip
    assert dominators(made, "c") == ("a", "b")
    assert found["c"].surely_dominated_by == "a"
    assert nearest(tuple(found.values())) is None


def test_where_nothing_shows_any_noise_a_difference_is_sure_and_a_tie_is_none() -> None:
    made = single({"a": [0.5] * 6, "b": [0.5] * 6, "c": [0.6] + [0.5] * 5})
    board = replace(made.board, spreads={task: SeedDeviation(0.0, 1000) for task in MAD_TASKS})
    lead = PairedDifferences(board, {}).lead("a")
    assert [lead.gap(row, MAD_TASKS[0]).p for row in range(3)] == [1.0, 1.0, 0.0]
    assert lead.p_above().tolist() == [[1.0] * 6, [0.5] * 6, [1.0] + [0.5] * 5]
    assert lead.p_below().tolist() == [[1.0] * 6, [0.5] * 6, [0.0] + [0.5] * 5]
    assert lead.p_either().tolist() == [[1.0] * 6, [1.0] * 6, [0.0] + [1.0] * 5]


def test_who_is_surely_on_the_front_is_found_without_looking_at_all_rows() -> None:
    """As by the p-value of every row, which takes too long for a site of ten thousand."""
    for made in (
        single({"a": [0.5] * 6, "b": [0.49] * 6, "c": [0.4] * 6, "d": [0.9] + [0.1] * 5}),
        single({"a": [0.5] * 6, "b": [0.502] * 6}),
        open_paired_differences("quick", None),
        open_paired_differences("published", None),
    ):
        leads = [made.lead(name) for name in made.names]
        rivals = [np.delete(np.minimum(1.0, 6 * lead.p_above().min(axis=1)), own) for own, lead in enumerate(leads)]
        ps = stats.false_discovery_control([float(row.max()) for row in rivals], method="bh")
        assert surely_front(made) == {name for name, p in zip(made.names, ps, strict=True) if p <= RATE}


def test_a_record_with_mechanisms_that_no_catalogue_has_is_a_row_like_any_other(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    """An older or newer archer made it: its scores count, and nothing is guessed of its mechanisms."""
    made = make_record(provenance=make_provenance(mechanisms={"decay": {"mechanism": "magic"}}))
    archive.tell(made, "")
    name = made.proposal.variant.name
    assert run(["leaderboard", "--front", "--json", "--archive", str(archive.root)]) == DONE
    assert name in {row["name"] for row in json.loads(capsys.readouterr().out)["rows"]}
    told = take_snapshot(archive, "quick", seed=0)
    assert name not in told.genomes
    assert EvolveProposer().ask(told).proposal.variant.name != name
    assert run(["replay", "1", "--archive", str(archive.root)]) == USAGE
    assert "mechanisms that this archer's catalogue does not have" in capsys.readouterr().err


def test_where_two_rows_are_one_function_a_difference_says_nothing() -> None:
    rows = {"a": [0.5] * 6, "b": [0.4] * 3 + [0.6] + [0.4] * 2}
    assert {place.standing for place in places(single(rows))} == {"surely front"}
    one = places(single(rows, (("a", "b"),)))
    assert not any(place.surely_dominated_by for place in one), "rows that are one function everywhere dominate nobody"
    free = single(rows)
    board = replace(free.board, one={MAD_TASKS[3]: (("a", "b"),)})
    by_name = {place.name: place for place in places(PairedDifferences(board, {}))}
    assert not by_name["b"].dominated
    assert by_name["b"].standing == "surely dominated", "its lead where the two are one function is chance"


def test_distance_to_the_reference() -> None:
    found = places(single({REFERENCE: [0.5] * 6, "near": [0.6] * 5 + [0.495], "far": [0.6] * 5 + [0.3]}))
    best = nearest(found)
    assert best is not None
    assert best.name == "near"
    assert len(best.above) == 5
    assert list(best.missing) == ["Selective Copy"]
    assert best.shortfall == pytest.approx(0.005)
    assert "Selective Copy" not in best.sure
    by_name = {place.name: place for place in found}
    assert "Selective Copy" in by_name["far"].sure
    assert [task for task, lack in best.lacking.items() if lack] == ["Selective Copy"]
    assert by_name[REFERENCE].distance == pytest.approx(6)
    assert best.distance is not None
    assert 1 < best.distance < 2
    assert best.p_beats > 0.5


@pytest.mark.parametrize("few", [False, True])
def test_a_paired_gap_is_the_moderated_effect(few: bool) -> None:
    """Of few rows the noise is known with few degrees of freedom."""
    trials, contrasts = shipped_by_variant("quick"), open_paired_differences("quick", None)
    if few:
        trials = {name: trials[name] for name in (DECAY, REFERENCE, BASELINE)}
        contrasts = PairedDifferences(contrasts.board, trials)
    assert contrasts.paired
    for task in MAD_TASKS:
        own, other = ([t for t in trials[name] if t.task == task] for name in (DECAY, REFERENCE))
        expected, gap = (
            effect(paired(own, other, (task,)), noise_by_task(trials, MAD_TASKS)[task]),
            contrasts.gap(DECAY, REFERENCE, task),
        )
        assert expected is not None
        assert (gap.difference, gap.error) == pytest.approx((expected.mean, expected.error))
        assert gap.freedom == expected.freedom
        assert gap.p == pytest.approx(2 * min(expected.p_greater, 1 - expected.p_greater))
        same = contrasts.gap(DECAY, BASELINE, task).cannot_differ
        assert same == (task == "Memorize"), "a tie alone rules nothing out"


def test_pairing_finds_what_the_noise_between_seeds_hides() -> None:
    seeds = [0.2, 0.5, 0.8]
    rows = {REFERENCE: [seeds] * 6, "ahead": [[x + 0.05 for x in seeds]] * 6}
    rows |= {f"other{i}": [[x + 0.01 * ((i + k) % 3 - 1) for k, x in enumerate(seeds)]] * 6 for i in range(6)}
    found = {place.name: place for place in places(measured(rows))}
    assert found["ahead"].sure == set(MAD_TASKS)
    assert found["ahead"].p_beats < RATE
    assert found[REFERENCE].surely_dominated_by == "ahead"
    apart = PairedDifferences(measured(rows).board, {})
    assert not apart.paired
    assert all(place.standing in ("front", "dominated") and not place.sure for place in places(apart))


def test_rows_that_share_no_seed_are_compared_by_their_means() -> None:
    made = measured({"a": [[0.5, 0.6]] * 6, "b": [[0.5, 0.7]] * 6, "c": [[0.1, 0.2]] * 6})
    moved = [trial.model_copy(update={"seed": trial.seed + 7}) for trial in made.trials["c"]]
    gap = PairedDifferences(made.board, {**made.trials, "c": moved}).gap("a", "c", "Memorize")
    assert (gap.difference, gap.freedom) == (pytest.approx(0.4), 10)
    assert gap.error == pytest.approx(0.5)


@pytest.mark.slow
def test_without_a_true_difference_seldom_anything_is_called_sure() -> None:
    """Whole boards of one function: any sure row, or any sure cell, is an error, in at most 5 of 100 boards."""
    chance, boards = np.random.default_rng(4), 150
    wrong = {"cell": 0, "front": 0, "dominated": 0, "beats": 0}
    for _ in range(boards):
        names = [REFERENCE, *(f"v{i}" for i in range(7))]
        seed = chance.normal(0, 0.1, (1, 6, 3))
        table = 0.5 + seed + chance.normal(0, 0.03, (len(names), 6, 3))
        found = places(measured(dict(zip(names, table.tolist(), strict=True))))
        wrong["cell"] += any(place.sure for place in found)
        wrong["front"] += any(place.surely_front for place in found)
        wrong["dominated"] += any(place.surely_dominated_by for place in found)
        wrong["beats"] += any(place.p_beats <= RATE for place in found)
    assert max(wrong.values()) <= stats.binom.ppf(0.9999, boards, RATE), wrong
    assert wrong["cell"] > 0, "a rule that never calls anything sure would pass, too"


def test_the_published_front() -> None:
    contrasts = open_paired_differences("published", None)
    found = {place.name: place for place in places(contrasts)}
    assert len(found) == 22
    assert not contrasts.paired
    assert found["delta_net_4layer_adam_state_update_in_for_loop"].standing.endswith("dominated")
    assert found[BASELINE].gaps["Compress"].difference == pytest.approx(0.441687 - 0.366612)
    assert next(iter(found)) == "delta_net_4layer_add_local_softmax_self_attention_in_for_loop"


@pytest.mark.parametrize(("protocol", "how"), [("published", "not paired"), ("quick", "paired by seed")])
def test_front_at_the_command_line(protocol: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["leaderboard", "--front", "--protocol", protocol, "--archive", str(tmp_path / "none")]
    assert run(command) == DONE
    shown = capsys.readouterr().out
    assert "Nearest to beating" in shown
    assert f"Differences are {how}" in shown
    assert run([*command, "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["paired"] == (protocol == "quick")
    assert document["nearest"] == document["rows"][0]["name"]
    assert set(document["front"]) == {row["name"] for row in document["rows"] if "front" in row["standing"]}


def test_front_of_nothing_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["leaderboard", "--front", "--protocol", "mad", "--archive", str(tmp_path / "none")]) == USAGE
    assert "`archer evaluate NAME --protocol mad --add` scores one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--front", "--csv"], "leave out --csv and --format"),
        (["--front", "--format", "latex"], "leave out --csv and --format"),
        (["--front", "--protocol", "huge"], "choose one of smoke, quick, standard, mad, extra, published"),
        (["--protocol", "huge"], "choose one of smoke, quick, standard, mad, extra, published"),
    ],
)
def test_what_has_no_front_is_refused(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["leaderboard", *options]) == USAGE
    assert says in capsys.readouterr().err


def test_smoke_is_said_to_say_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--front"]):
        assert run(["leaderboard", "--protocol", "smoke", "--archive", str(tmp_path / "none"), *more]) == DONE
        assert "its scores say nothing" in capsys.readouterr().out


def test_of_one_seed_each_nothing_is_sure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["leaderboard", "--protocol", "smoke", "--archive", str(tmp_path / "none")]
    assert run([*command, "--front", "--json"]) == DONE
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert not [row for row in rows if row["standing"].startswith("surely")]
    assert not [task for row in rows for task, found in row["versus_reference"].items() if found["sure"]]
    assert run([*command, "--front"]) == DONE
    assert "nothing is sure" in capsys.readouterr().out
    assert run([*command, "--format", "csv"]) == DONE
    header, row, *_ = (line.split(",") for line in capsys.readouterr().out.splitlines())
    told = dict(zip(header, row, strict=True))
    assert (told["Compress low"], told["Compress high"], told["Compress n"]) == ("", "", "1"), (
        "one seed has no interval"
    )


@pytest.mark.parametrize("noise", [0.1, 0.01])
@pytest.mark.parametrize("chance", range(6))
def test_rows_that_are_not_asked_about_would_change_nothing(
    chance: int, noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = np.random.default_rng(chance)
    levels = dice.integers(1, 4, (30, 6, 1)) / 10 * (noise < 0.1)
    levels[:3] = 0
    table = levels + dice.integers(0, 4, (30, 6, 3)) * noise + dice.integers(0, 2, (30, 6, 3)) * 1e-12
    rows = {f"row_{n}": own for n, own in enumerate(table)}
    made = measured({name: table.tolist() for name, table in rows.items()})
    if chance % 2:  # some rows lack a seed
        few = {name: [t for t in own if (int(name[4:]) + t.seed) % 5] for name, own in made.trials.items()}
        made = replace(made, trials=few)
    if chance % 3:  # some compute the same on a task
        made = replace(made, board=replace(made.board, one={MAD_TASKS[0]: (("row_3", "row_4", "row_9"),)}))
    asked = [len(made.not_behind(own)) for own in range(len(made.names))]
    assert max(asked) < len(made.names) or chance % 2
    found = places(made)
    assert any(place.surely_dominated_by for place in found) == (noise < 0.1)
    above = {name: dominators(made, name) for name in made.names}
    assert {name for name in above if above[name]} == {place.name for place in found if place.dominated}
    monkeypatch.setattr(PairedDifferences, "not_behind", lambda self, *_: np.arange(len(self.names)))
    assert places(replace(made)) == found
    assert {name: dominators(replace(made), name) for name in made.names} == above
