"""The time left, held against the shipped runs: each variant's trials as they were run, on one or two workers."""

import heapq
from collections.abc import Iterator

import pytest

from agent.analysis.trial_work import weights
from agent.terminal.time_left import RACED, UNRACED, expected_end, seconds_left
from archive.seeding import shipped_by_variant
from evaluator.outcomes import Trial
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import trial_specs
from evaluator.trials.run_trial import spec_of

FIRST_MINUTE = 60.0


def moments(trials: list[Trial], workers: int) -> Iterator[tuple[float, float]]:
    """Time, and how much of the work is done then, by the weights; the last moment is the end."""
    work = weights(QUICK, trial_specs(QUICK))
    spans: list[tuple[float, float, float]] = []
    free = [0.0] * workers
    for trial in trials:
        start = heapq.heappop(free)
        heapq.heappush(free, start + trial.cpu_seconds)
        spans.append((start, start + trial.cpu_seconds, work[spec_of(trial)]))
    end = max(free)
    for second in [*range(5, int(end), 5), end]:
        yield second, sum(one * min(1.0, max(0.0, (second - a) / (b - a))) for a, b, one in spans)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", sorted(shipped_by_variant("quick")))
@pytest.mark.slow
def test_from_the_first_minute_on_the_estimate_is_within_a_third_of_the_truth(name: str, workers: int) -> None:
    order = {spec: place for place, spec in enumerate(trial_specs(QUICK))}
    trials = [trial for trial in shipped_by_variant("quick")[name] if trial.inherited_from is None]
    trials.sort(key=lambda trial: order[spec_of(trial)])
    whole = sum(weights(QUICK, map(spec_of, trials)).values())
    *during, (end, _) = moments(trials, workers)
    for second, done in during:
        if second >= FIRST_MINUTE and end - second >= 5:
            left = seconds_left(done, whole, second)
            assert left is not None
            assert abs(left - (end - second)) <= (end - second) / 3 + 5, f"after {second} s of {end:.0f}"


def test_nothing_is_told_before_something_is_done() -> None:
    assert seconds_left(0.0, 10.0, 5.0) is None
    assert seconds_left(0.0, 0.0, 5.0) is None
    assert seconds_left(5.0, 10.0, 5.0) == 5.0


def test_a_raced_proposal_ends_where_such_proposals_end_that_came_so_far():
    assert expected_end(0.0, (0.2, 0.4, 1.0, 1.0)) == pytest.approx(0.65)
    assert expected_end(0.3, (0.2, 0.4, 1.0, 1.0)) == pytest.approx(0.8)
    assert expected_end(1.0, RACED) == 1.0
    assert expected_end(0.5, UNRACED) == 1.0
    assert sum(RACED) / len(RACED) == pytest.approx(0.604, abs=0.01), "two cores: docs/results/racing.md"
