"""Archives to make sites of: real git repositories with records written by hand, one for every status."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.site.build import Built, build
from archive.leaderboard_csv import PUBLISHED
from archive.record import Cost, Exchange, Prediction, Proposal, Provenance, Record
from archive.seeding import create
from archive.store import Archive
from evaluator.outcomes import CheckReport, CurvePoint, Finding, Grade, Status, Trial
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.statistics.scorecards import scorecard, verdict
from evaluator.tasks.registry import MAD_TASKS
from variants.contract import BASELINE, REFERENCE, Variant
from variants.seeds import seed_variants

PROTOCOL = PROTOCOLS["quick"]


def trials_of(variant: Variant, accuracy: float) -> tuple[Trial, ...]:
    """Three seeds on every task, with a curve each."""
    return tuple(
        Trial(
            variant=variant.name,
            source_hash=variant.source_hash,
            protocol="quick",
            protocol_hash=PROTOCOL.hash,
            task=task,
            setting="only",
            lr=1e-3,
            weight_decay=0.0,
            seed=seed,
            status=Status.SCORED,
            accuracy=accuracy + seed / 100,
            curve=tuple(CurvePoint(step=step, loss=3.0 - step * accuracy / 50) for step in range(10, 60, 10)),
            steps=50,
            sandbox_grade=Grade.A,
        )
        for task in MAD_TASKS
        for seed in range(3)
    )


def variant_of(name: str, change: str = "") -> Variant:
    """The baseline's code with another update of the state."""
    source = seed_variants()[BASELINE].source
    return Variant(name=name, source=source.replace("S = S + k_i.mT @ u_i", f"S = S + k_i.mT @ u_i{change}"))


def record_of(name: str, status: Status = Status.SCORED, accuracy: float = 0.6, parent: str = BASELINE,
              change: str = " * 0.5", **changes: object) -> Record:  # fmt: skip
    """A proposal with that outcome."""
    variant = variant_of(name, change)
    trials = trials_of(variant, accuracy) if status is Status.SCORED else ()
    references = {other: trials_of(seed_variants()[other], 0.5) for other in (BASELINE, REFERENCE)}
    proposal = Proposal(
        variant=variant,
        parent=parent,
        title=f"The idea of {name.removeprefix('delta_net_4layer_').removesuffix('_in_for_loop')}",
        insights=("a",),
        motivation="Because `decay` helps.",
        mathematics="S ← S + k ᵀu",
        predictions=dict.fromkeys(MAD_TASKS, Prediction(mean=0.55, low=0.4, high=0.65, why="a hunch")),
        differences=("b",),
        next_steps=("c",),
        provenance=Provenance(proposer="openai", model="some-model", seed=3, parents=(parent,)),
    )
    known = Record(
        number=0,
        created="2026-01-01T00:00:00Z",
        proposal=proposal,
        status=status,
        protocol="quick",
        protocol_hash=PROTOCOL.hash,
        trials=trials,
        scorecard=scorecard(trials) if trials else None,
        verdicts=tuple(verdict(trials, own, other) for other, own in references.items()) if trials else (),
        check=CheckReport(
            name=name, verdict="pass", sandbox_grade=Grade.A, seconds=1.5,
            findings=(Finding(check="causality", status="pass", message="no peeking"),),
        ),
        exchanges=(Exchange(attempt=1, prompt="the whole prompt", reply="the whole reply", usage={"total": 12}),),
        cost=Cost(cpu_seconds=180.0, wall_seconds=170.0, prompt_tokens=1000, completion_tokens=200, usd=0.01),
    )  # fmt: skip
    return known.model_copy(update=changes)


REPORT = "# Title\n\n| task | score |\n| --- | ---: |\n| Compress | 0.5 |\n\n```python\nS = S + 1\n```\n"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """The two references as generation 0, and the published table."""
    seeds = {name: seed_variants()[name] for name in (BASELINE, REFERENCE)}
    trials = [trial for seed in seeds.values() for trial in trials_of(seed, 0.5)]
    return create(tmp_path / "search", seeds, trials, {"published": PUBLISHED.read_text(encoding="utf-8")})


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
