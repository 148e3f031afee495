"""Archives to make sites of: real git repositories with records written by hand, one for every status."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.site.build import Built, build
from archive.records.record import Cost, Exchange, Record
from archive.store import Archive
from evaluator.outcomes import CurvePoint, Finding, Status, Trial
from evaluator.protocols.built_in import QUICK
from evaluator.statistics.verdicts import verdict
from tests.builders import make_archive_of, make_check, make_predictions, make_provenance, make_record, make_trials
from variants.contract import BASELINE, REFERENCE, Variant
from variants.seeds import seed_variants

PROTOCOL = QUICK


def trials_of(variant: Variant, accuracy: float) -> tuple[Trial, ...]:
    """Three seeds on every task, with a curve each."""
    curve = tuple(CurvePoint(step=step, loss=3.0 - step * accuracy / 50) for step in range(10, 60, 10))
    return make_trials(variant, accuracy, curve=curve, steps=50)


def variant_of(name: str, change: str = "") -> Variant:
    """The baseline's code with another update of the state."""
    source = seed_variants()[BASELINE].source
    return Variant(name=name, source=source.replace("S = S + k_i.mT @ u_i", f"S = S + k_i.mT @ u_i{change}"))


def record_of(name: str, status: Status = Status.SCORED, accuracy: float = 0.6, parent: str = BASELINE,
              change: str = " * 0.5", **changes: object) -> Record:  # fmt: skip
    """A proposal with that outcome, and with everything that a page can show."""
    variant = variant_of(name, change)
    trials = trials_of(variant, accuracy) if status is Status.SCORED else ()
    references = {other: trials_of(seed_variants()[other], 0.5) for other in (BASELINE, REFERENCE)}
    known = make_record(
        status,
        name,
        source=variant.source,
        parent=parent,
        title=f"The idea of {name.removeprefix('delta_net_4layer_').removesuffix('_in_for_loop')}",
        motivation="Because `decay` helps.",
        mathematics="S ← S + k ᵀu",
        predictions=make_predictions(0.55, why="a hunch"),
        provenance=make_provenance("openai", model="some-model", seed=3, parents=(parent,)),
        trials=trials,
        verdicts=tuple(verdict(trials, own, other, {}) for other, own in references.items()) if trials else (),
        check=make_check(Finding(check="causality", status="pass", message="no peeking"), name=name, seconds=1.5),
        exchanges=(Exchange(attempt=1, prompt="the whole prompt", reply="the whole reply", usage={"total": 12}),),
        cost=Cost(cpu_seconds=180.0, wall_seconds=170.0, prompt_tokens=1000, completion_tokens=200, usd=0.01),
    )
    return known.model_copy(update=changes)


def archive_of_references(root: Path) -> Archive:
    """The two references as generation 0, and the published table."""
    seeds = [seed_variants()[name] for name in (BASELINE, REFERENCE)]
    return make_archive_of(root, seeds, [trial for seed in seeds for trial in trials_of(seed, 0.5)], published=True)


REPORT = "# Title\n\n| task | score |\n| --- | ---: |\n| Compress | 0.5 |\n\n```python\nS = S + 1\n```\n"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return archive_of_references(tmp_path / "search")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where the site goes."""
    return tmp_path / "site"


@pytest.fixture
def make(archive: Archive, site: Path) -> Callable[[], Built]:
    """Build the site of the archive as it is."""
    return lambda: build(Archive(archive.root), site, lambda done, total: None)


def board_of(site: Path) -> dict:
    """What the overview's script is given."""
    text = (site / "data" / f"quick-{PROTOCOL.hash[:8]}.js").read_text()
    return json.loads(text.removeprefix("window.archerBoard = ").removesuffix(";\n"))
