"""`archer versus` where a score is missing: what it advises does what it says."""

import json
from pathlib import Path

import pytest

from agent.errors import USAGE
from archive.store import Archive
from evaluator.outcomes import Status
from evaluator.protocols.built_in import QUICK, SMOKE, STANDARD
from tests.agent.commands.conftest import Run
from tests.builders import make_archive_of, make_record, make_trials
from variants.contract import BASELINE
from variants.outside_archives import WIDE_REFERENCE, other_references
from variants.seeds import seed_variants

SEED = seed_variants()[BASELINE]


@pytest.fixture
def search(tmp_path: Path) -> Archive:
    """Three proposals under smoke: a scored one, a pruned one and a rejected one."""
    made = make_archive_of(tmp_path / "archer-archive", [SEED], make_trials(SEED, 0.5, protocol=SMOKE))
    made.tell(make_record(name="good", source=SEED.source + "# good\n", protocol=SMOKE), "# good\n")
    made.tell(make_record(Status.PRUNED, "slow", source=SEED.source + "# slow\n", protocol=SMOKE), "# slow\n")
    made.tell(make_record(Status.REJECTED, "leaky", source=SEED.source + "# leaky\n", protocol=SMOKE), "# leaky\n")
    return made


def test_a_proposal_without_a_score_is_told_by_its_status_beside_one_that_has_scores(
    archer: Run, search: Archive
) -> None:
    code, _, err = archer("versus", "2")
    assert code == USAGE
    assert "slow has no score under smoke: it is PRUNED; `archer evaluate slow --protocol smoke --add`" in err
    assert "proposal 1 has scores: `archer versus 1`" in err
    err = archer("versus", "3")[2]
    assert "leaky has no score under smoke: it is REJECTED" in err
    assert "archer evaluate" not in err, "training cannot help there"


def test_the_wide_reference_is_compared_with_under_the_largest_protocol_that_has_it(
    archer: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [trial for protocol in (QUICK, STANDARD) for trial in make_trials(SEED, 0.5, protocol=protocol)]
    make_archive_of(tmp_path / "archer-archive", [SEED], trials)
    wide = make_trials(other_references()[WIDE_REFERENCE], 0.7, protocol=QUICK)
    monkeypatch.setattr("archive.seeding._shipped_references", lambda protocol: wide if protocol == QUICK.name else ())
    code, out, _ = archer("versus", BASELINE, WIDE_REFERENCE, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["against"], found["protocol"]["name"]) == (WIDE_REFERENCE, "quick")
    assert found["against_scores"]["Memorize"]["mean"] > 0.6
    code, _, err = archer("versus", BASELINE, WIDE_REFERENCE, "--protocol", "standard")
    assert code == USAGE
    assert "has no score under standard; it has some under quick (--protocol)" in err
    monkeypatch.setattr("archive.seeding._shipped_references", lambda _: ())
    assert "nobody has trained it yet" in archer("versus", BASELINE, WIDE_REFERENCE)[2]
