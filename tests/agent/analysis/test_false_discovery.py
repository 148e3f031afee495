"""What the terminal says of a whole family of tests."""

from agent.analysis.differences.false_discovery import families
from agent.terminal.discoveries import NAMED, families_lines
from archive.store import Archive
from evaluator.statistics import false_discovery as discoveries
from evaluator.statistics.false_discovery import Discoveries
from tests.builders import make_record
from variants.contract import BASELINE


def family(count: int, p: float, adjusted: float) -> Discoveries:
    tests = tuple(
        discoveries.Tested(
            name=f"delta_net_4layer_v{number}_in_for_loop",
            against=BASELINE,
            difference=0.1,
            low=0.0,
            high=0.2,
            n=3,
            p=p,
            adjusted=adjusted,
        )
        for number in range(count)
    )
    return Discoveries(tried=count, pruned=0, untestable=0, means=tests, tasks=())


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
