"""Trials on a cluster of three hosts, network namespaces of this machine, whose nodes fail."""

from pathlib import Path

import pytest

pytest.importorskip("ray")
from benchmarks.cluster import all_come_and_go, made, run
from benchmarks.hosts import why_not

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]


def test_no_trial_is_lost_or_counted_twice_and_the_bits_are_those_of_the_local_engine(tmp_path: Path) -> None:
    outcome = run(all_come_and_go.__name__, *made(tmp_path))
    assert outcome.good, outcome
