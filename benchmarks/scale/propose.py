"""`archer propose` with trainings that end at once: `python -m benchmarks.scale.propose ARGUMENTS`.

Everything else is as in the command: the snapshot, the ask, the checks in the sandbox, the look-up of a twin, the
predictions' commit, the race, the report, the leaderboard, the record's commit, and the summary at the end. A trial has
the baseline's accuracy on the same seed, moved at random.
"""

import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from agent.cli import main
from archive.seeding import shipped_trials
from evaluator.outcomes import Trial
from evaluator.protocols.protocol import TrialSpec
from evaluator.trials import evaluate
from evaluator.trials.evaluate import Evaluator
from evaluator.trials.run_trial import spec_of
from variants.contract import BASELINE, Variant


def untrained(evaluator: Evaluator, variant: Variant, specs: Sequence[TrialSpec], **_: Any) -> evaluate.Evaluation:
    """What a training would give, at once."""
    shift = random.Random(variant.source_hash).gauss(0, 0.02)
    known: Mapping[TrialSpec, Trial] = {
        spec_of(trial): trial for trial in shipped_trials(evaluator.protocol.name) if trial.variant == BASELINE
    }
    changes = {"variant": variant.name, "source_hash": variant.source_hash, "wall_seconds": 0.0, "cpu_seconds": 0.0}
    trials = [
        known[spec].model_copy(
            update={**changes, "accuracy": min(1.0, max(0.0, (known[spec].accuracy or 0.0) + shift))}
        )
        for spec in specs
    ]
    return evaluate._ended_as({spec_of(trial): trial for trial in trials}, specs, "")


if __name__ == "__main__":
    Evaluator.evaluate = untrained  # type: ignore[method-assign,assignment]
    sys.argv[:1] = ["archer", "propose"]
    main()
