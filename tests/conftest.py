"""Archives made of real git repositories, and records written by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from archive.record import Prediction, Proposal, Provenance, Record
from archive.seeding import create
from archive.store import Archive
from evaluator.outcomes import Grade, Scorecard, Status, Trial
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.statistics.scorecards import scorecard
from evaluator.tasks.registry import MAD_TASKS, TaskName
from variants.contract import BASELINE, Variant

SOURCE = "def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n    return v, None\n"


def make_trial(variant: Variant, task: TaskName, seed: int, accuracy: float) -> Trial:
    return Trial(
        variant=variant.name,
        source_hash=variant.source_hash,
        protocol="quick",
        protocol_hash=PROTOCOLS["quick"].hash,
        task=task,
        setting="only",
        lr=1e-3,
        weight_decay=0.0,
        seed=seed,
        status=Status.SCORED,
        accuracy=accuracy,
        sandbox_grade=Grade.A,
    )


def make_trials(variant: Variant, accuracy: float = 0.5) -> tuple[Trial, ...]:
    return tuple(make_trial(variant, task, seed, accuracy + seed / 100) for task in MAD_TASKS for seed in range(3))


@pytest.fixture
def variant() -> Variant:
    return Variant(name="delta_net_4layer_x_in_for_loop", source=SOURCE)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    seed = Variant(name=BASELINE, source=SOURCE)
    return create(tmp_path / "search", {BASELINE: seed}, make_trials(seed), {})


@pytest.fixture
def make_record(variant: Variant) -> Callable[..., Record]:
    def make(status: Status = Status.SCORED, name: str = variant.name, **changes: object) -> Record:
        own = Variant(name=name, source=SOURCE)
        trials = make_trials(own, 0.6) if status is Status.SCORED else ()
        card: Scorecard | None = scorecard(trials) if trials else None
        proposal = Proposal(
            variant=own,
            parent=BASELINE,
            title="An idea",
            insights=("a",),
            motivation="because",
            mathematics="S += 1",
            predictions=dict.fromkeys(MAD_TASKS, Prediction(mean=0.5, low=0.4, high=0.6)),
            differences=("b",),
            next_steps=("c",),
            provenance=Provenance(proposer="evolve", seed=0),
        )
        record = Record(
            number=0, created="2026-01-01T00:00:00Z", proposal=proposal, status=status, protocol="quick",
            protocol_hash=PROTOCOLS["quick"].hash, trials=trials, scorecard=card,
        )  # fmt: skip
        return record.model_copy(update=changes)

    return make
