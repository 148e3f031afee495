"""Which proposals of an archive are better than their parent or a reference, corrected for all proposals tried."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.built_in import PROTOCOLS, tasks_of
from evaluator.statistics.false_discovery import LEVELS, Discoveries, Tested, discoveries
from evaluator.statistics.moderated_t_test import common_noise
from evaluator.statistics.seed_table import seed_table
from variants.contract import BASELINE, REFERENCE

PARENT = "parent"
RIVALS = (PARENT, BASELINE, REFERENCE)
_TRAINED = (Status.SCORED, Status.PRUNED)


def families(archive: Archive, protocol: str, *, single: bool = True) -> dict[str, Discoveries]:
    """Discoveries by the variant that proposals are compared with. Only trials of the current protocol version count.

    single: whether to test the single tasks too.
    """
    if protocol not in PROTOCOLS:
        return {}
    current = PROTOCOLS[protocol].hash
    trials = archive.trials(protocol)
    table = seed_table(trials, tasks_of(protocol))
    noise = common_noise(table.over_tasks())
    trained = [line for line in archive.lines() if line.protocol_hash == current and line.status in _TRAINED]
    pruned = Counter(line.parent for line in trained if line.status is Status.PRUNED)
    parents = {line.name: line.parent for line in trained if line.status is Status.SCORED and line.name in trials}
    found = {}
    for rival in RIVALS:  # without those whose trials, or whose rival's, cannot be read
        tried = [(name, parent if rival == PARENT else rival) for name, parent in parents.items()]
        hopeless = pruned if rival == PARENT else {rival: pruned.total()}
        found[rival] = discoveries(
            table,
            [(name, against) for name, against in tried if against in trials],
            noise,
            pruned=sum(count for against, count in hopeless.items() if against in trials),
            single=single,
        )
    return found


def families_json(families: Mapping[str, Discoveries]) -> dict[str, Any]:
    """The document of `--json`: per rival, the names called better at each rate, and every test."""
    return {
        rival: {
            "tried": family.tried,
            "pruned": family.pruned,
            "untestable": family.untestable,
            "method": "Benjamini-Hochberg, one-sided",
            "better": {f"{level:.2f}": [test.name for test in family.better(level)] for level in LEVELS},
            "means": [test.model_dump(mode="json") for test in family.means],
            "tasks": [test.model_dump(mode="json") for test in family.tasks],
        }
        for rival, family in families.items()
    }


def tests_of(name: str, families: Mapping[str, Discoveries]) -> dict[str, Tested]:
    """The tests of one proposal's mean, by rival."""
    return {rival: test for rival, family in families.items() for test in family.means.of([name])}


def tests_json(name: str, families: Mapping[str, Discoveries]) -> dict[str, Any]:
    """The tests of one proposal's mean, by rival."""
    return {rival: test.model_dump(mode="json") for rival, test in tests_of(name, families).items()}
