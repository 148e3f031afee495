"""Which proposals of an archive are better than their parent or a reference, corrected for all proposals tried."""

from collections.abc import Collection, Mapping
from typing import Any

from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.built_in import PROTOCOLS, tasks_of
from evaluator.statistics.false_discovery import LEVELS, Discoveries, Tested, TriedProposal, discoveries
from evaluator.statistics.moderated_t_test import mean_noise
from variants.contract import BASELINE, REFERENCE, VariantName

PARENT = "parent"
RIVALS = (PARENT, BASELINE, REFERENCE)
_TRAINED = (Status.SCORED, Status.PRUNED)


def families(
    archive: Archive, protocol: str, *, single: bool = True, only: Collection[VariantName] | None = None
) -> dict[str, Discoveries]:
    """Discoveries by the variant that proposals are compared with. Only trials of the current protocol version count.

    single: whether to test the single tasks too. only: whose tests to return; all are counted.
    """
    if protocol not in PROTOCOLS:
        return {}
    current = PROTOCOLS[protocol].hash
    trials, tasks = archive.trials(protocol), tasks_of(protocol)
    noise = mean_noise(trials, tasks)
    lines = [line for line in archive.lines() if line.protocol_hash == current and line.status in _TRAINED]
    found = {}
    for rival in RIVALS:
        tried, pruned = [], 0
        for line in lines:
            against = line.parent if rival == PARENT else rival
            if against in trials and line.status is Status.PRUNED:
                pruned += 1
            elif against in trials and line.name in trials:  # not so of a proposal whose trials cannot be read
                tried.append(TriedProposal(line.name, against, trials[line.name], trials[against]))
        found[rival] = discoveries(tried, noise, tasks, pruned=pruned, single=single, only=only)
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
    return {rival: test for rival, family in families.items() for test in family.means if test.name == name}


def tests_json(name: str, families: Mapping[str, Discoveries]) -> dict[str, Any]:
    """The tests of one proposal's mean, by rival."""
    return {rival: test.model_dump(mode="json") for rival, test in tests_of(name, families).items()}
