"""Trials on a cluster of three hosts, network namespaces of this machine, whose nodes fail."""

from pathlib import Path

import pytest

pytest.importorskip("ray")
from benchmarks.cluster import STORIES, Bits, made, run
from benchmarks.hosts import why_not
from evaluator.protocols.protocol import TrialSpec

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]
Made = tuple[Path, dict[TrialSpec, Bits]]


@pytest.fixture(scope="module")
def archive_and_bits(tmp_path_factory: pytest.TempPathFactory, slow_tier: None) -> Made:
    """An archive, and what the local engine gives."""
    return made(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("story", [story.__name__ for story in STORIES])
def test_no_trial_is_lost_or_counted_twice_and_the_bits_are_those_of_the_local_engine(
    archive_and_bits: Made, story: str
):
    outcome = run(story, *archive_and_bits)
    assert outcome.good, outcome
