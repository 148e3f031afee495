"""Facts on the seeds, and leaderboards in the published form."""

import pytest

from archive.errors import LeaderboardError
from archive.seeding import shipped_by_variant
from archive.tables.leaderboard_csv import PUBLISHED, format_leaderboard, parse_leaderboard, read_leaderboard
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import BASELINE, REFERENCE, short_name
from variants.seeds import PROPOSED, seeds

HEADER = "," + ",".join(MAD_TASKS)


def test_published_rows_are_seeds():
    assert set(read_leaderboard(PUBLISHED).index) == {n for n, seed in seeds().items() if seed.origin == "published"}
    assert {name for name, seed in seeds().items() if seed.origin == "proposed"} == PROPOSED


def test_what_was_found_has_the_very_source_of_its_trials():
    found = {name: seed for name, seed in seeds().items() if seed.origin == "found"}
    assert {short_name(name) for name in found} == {
        "channel_product_keys_phase_echo_decay",
        "own_error_all_channels_product_keys_added_phase_echo_decay",
        "own_error_skip_decay_state_update",
        "own_value_skip",
        "own_written_value_skip",
        "phase_echo_decay_state_update",
        "products_only_state_written_echo_successor_own_error",
        "written_echo_and_successor_halves_own_error",
    }
    shipped = shipped_by_variant("quick")
    for name, seed in found.items():
        trials = shipped[name]
        assert len(trials) == len(shipped[BASELINE])
        assert {trial.source_hash for trial in trials} == {seed.variant.source_hash}
        assert {trial.protocol_hash for trial in trials} == {PROTOCOLS["quick"].hash}


def test_parents_are_seeds():
    assert {name for name, seed in seeds().items() if seed.parent is None} == {BASELINE, REFERENCE}
    assert {seed.parent for seed in seeds().values()} - {None} <= set(seeds())


def test_published_table_round_trips_to_the_byte(tmp_path):
    (tmp_path / "out.csv").write_text(format_leaderboard(read_leaderboard(PUBLISHED)), encoding="utf-8")
    assert (tmp_path / "out.csv").read_bytes() == PUBLISHED.read_bytes()


def test_header_of_names_and_order_of_tasks_are_free():
    text = "Unnamed: 0," + ",".join(reversed(MAD_TASKS)) + "\nx,0.6,0.5,0.4,0.3,0.2,0.1\n"
    assert parse_leaderboard(text, "t").loc["x"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column for Compress, Context Recall, Fuzzy Recall, Memorize, Noisy Recall, Selective Copy"),
        (HEADER.replace("Memorize", "Memory"), "no column for Memorize"),
        (HEADER + ",Compress\nx,0,0,0,0,0,0,0", "Compress occurs twice"),
        (HEADER, "no rows"),
        (HEADER + "\nx,0,0,0,0,0,0\nx,0,0,0,0,0,0", "x occurs more than once"),
        (HEADER + "\n,0,0,0,0,0,0", "row 1 has no name"),
        (HEADER + "\nx,0,0,0,high,0,0", "x, Memorize: 'high' is not a number"),
        (HEADER + "\nx,0,0,0,41.2,0,0", "divide percentages by 100"),
        (HEADER + "\nx,0,0,0,-0.1,0,0", "not an accuracy from 0 to 1"),
        (HEADER + "\nx,0,0,0,nan,0,0", "drop the row"),
    ],
)
def test_a_table_that_is_no_leaderboard_is_refused_in_one_line(text, message):
    with pytest.raises(LeaderboardError, match="t: ") as caught:
        parse_leaderboard(text, "t")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LeaderboardError, match="no such file"):
        read_leaderboard(tmp_path / "none.csv")
