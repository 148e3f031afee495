"""The simulation of archer's queue, against what can be counted by hand."""

import pytest

from benchmarks.variants_a_day import Queue, Work


def test_phases_follow_one_another_and_a_free_slot_takes_the_next():
    work = Work(1.0, ((2.0,), (3.0, 3.0, 3.0)))
    assert Queue([work], slots=2, jobs=1).run() == [1 + 2 + 3 + 3]
    assert Queue([work, work], slots=2, jobs=1).run() == [9, 18]


def test_each_slot_starts_once():
    assert Queue([Work(0.0, ((10.0, 10.0, 10.0),))], slots=2, jobs=1, start=5.0).run() == [25]


@pytest.mark.parametrize(("slots", "jobs", "last"), [(1, 2, 41), (4, 1, 44), (4, 4, 11), (4, 8, 11)])
def test_slots_are_idle_where_too_few_proposals_are_in_work(slots: int, jobs: int, last: float):
    assert Queue([Work(1.0, ((10.0,),))] * 4, slots, jobs).run()[-1] == last


def test_what_has_not_ended_in_time_does_not_count():
    assert len(Queue([Work(0.0, ((10.0,),))] * 4, slots=1, jobs=1).run(until=25.0)) == 2
