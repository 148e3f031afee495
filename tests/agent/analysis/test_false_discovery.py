"""What the terminal says of a whole family of tests."""

import numpy as np

from agent.analysis.differences.false_discovery import families
from agent.terminal.discoveries import NAMED, families_lines
from archive.store import Archive
from evaluator.statistics import false_discovery as discoveries
from evaluator.statistics.false_discovery import Discoveries
from evaluator.statistics.moderated_t_test import Effects
from tests.builders import make_record
from variants.contract import BASELINE


def family(count: int, p: float, adjusted: float) -> Discoveries:
    names = [discoveries.Hypothesis(f"delta_net_4layer_v{number}_in_for_loop", BASELINE) for number in range(count)]
    found = Effects(np.full(count, 0.1), np.full(count, 0.05), np.full(count, 8.0), np.full(count, 3))
    tests = discoveries.Tests(names, found, np.full(count, p), np.full(count, adjusted))
    return Discoveries(tried=count, pruned=0, untestable=0, means=tests, tasks=tests)


def test_many_that_are_better_at_both_rates_are_counted_and_said_once():
    (_, line) = families_lines({"parent": family(10, 0.001, 0.01)}, "quick")
    assert line.startswith(f"  than its parent: v0, v1, v2, {10 - NAMED} more at 5% ")
    assert "10%" not in line


def test_what_only_the_looser_rate_finds_is_said_apart():
    (_, line) = families_lines({"parent": family(2, 0.03, 0.07)}, "quick")
    assert line.startswith("  than its parent: none at 5%; v0, v1 at 10% ")


def test_a_proposal_without_its_trials_is_not_among_those_that_were_tried(archive: Archive):
    told = archive.tell(make_record(), "r")
    archive.tell(make_record(name="other"), "r")
    assert families(archive, "quick")[BASELINE].tried == 2
    (archive.root / "proposals" / told.id / "trials.jsonl").write_bytes(b"")
    assert families(Archive(archive.root), "quick")[BASELINE].tried == 1
