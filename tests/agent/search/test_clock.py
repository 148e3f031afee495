"""A clock that is set while a proposal is trained dates no trial before its predictions."""

import time
from datetime import UTC, datetime, timedelta

from agent.search.attempt import _Predicted


def test_a_clock_that_was_set_back_is_not_believed():
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert _Predicted("c", ahead, time.monotonic() - 60).now() >= ahead + timedelta(seconds=60)


def test_a_clock_that_was_set_forward_is():
    before = datetime.now(UTC)
    assert _Predicted("c", before - timedelta(days=1), time.monotonic()).now() >= before
