"""What trainings tell of a change without effect: how large the state grows on each task, and what a scale of o does.

python -m benchmarks.no_effect state      # about 70 CPU-seconds: the baseline's state, seed 0 of `quick`
python -m benchmarks.no_effect rounding   # about 20 CPU-seconds: shipped learning curves beside those trained here
python -m benchmarks.no_effect scale      # about 4 CPU-minutes: the baseline with 8 times its output, on all of `quick`

Trains in this process, without a sandbox: the kernels are the baseline's own, with a line changed. Prints Markdown.
"""

import argparse
from collections.abc import Callable
from statistics import fmean, median
from typing import Any

import torch

from archive.seeding import shipped_by_variant
from evaluator.kernel import Kernel
from evaluator.outcomes import Failure, Trial
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import TrialSpec, trial_specs
from evaluator.scoring.score import score
from evaluator.tasks.names import TaskName
from evaluator.training.train import train
from evaluator.trials.no_effect import telling
from evaluator.trials.run_trial import spec_of
from variants.contract import BASELINE
from variants.seeds import seed_variants

SEED = seed_variants()[BASELINE]
UPDATE, OUTPUT = "        S = S + k_i.mT @ u_i\n", "o_n.append(o_inter + attn @ u_i)"
LOOK = "        if i < len(q_n) - 1:\n            SEEN.append(float(S.detach().norm(dim=(-2, -1)).max()))\n"


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables: dict[str, Callable[[], None]] = {"state": state, "rounding": rounding, "scale": scale}
    parser.add_argument("table", choices=list(tables))
    torch.set_num_threads(1)
    tables[parser.parse_args().table]()


def state() -> None:
    """The Frobenius norm of every state that a later chunk reads, over all steps of a training."""
    seen: list[float] = []
    kernel = changed(UPDATE, UPDATE + LOOK, SEEN=seen)
    print(
        "| task | chunks | largest norm | median over steps and chunks of the batch's largest |\n|---|---:|---:|---:|"
    )
    for spec in trial_specs(QUICK, seeds=(0,)):
        seen.clear()
        trained(spec, kernel)
        chunks = -(-QUICK.model(QUICK.setting(spec), SEED.layer).length // QUICK.tasks[spec.task].chunk_size)
        print(f"| {spec.task} | {chunks} | {max(seen, default=0.0):.2f} | {median(seen or [0.0]):.2f} |")


def rounding() -> None:
    """Relative distance from the shipped curves at their first points: of other variants, and of this machine."""
    shipped, kernel = shipped_by_variant("quick"), changed("", "")
    free = [spec for spec in trial_specs(QUICK) if spec.task != "Memorize"]
    print("| task | the baseline here | the least of a change that acts |\n|---|---:|---:|")
    for spec in telling(QUICK, free):
        losses: dict[int, float] = {}
        trained(spec, kernel, lambda told, losses=losses: losses.update({told["step"]: told["loss"]}))
        base = at(shipped[BASELINE], spec)
        here = max(abs(losses[point.step] / point.loss - 1) for point in base.curve[:2])
        others = [
            max(abs(a.loss / b.loss - 1) for a, b in zip(at(own, spec).curve[:2], base.curve[:2], strict=True))
            for name, own in shipped.items()
            if at(own, spec).weights_hash != base.weights_hash and "normalize_keys" not in name
        ]
        print(f"| {spec.task} | {here:.1e} | {min(others):.1e} |")


def scale() -> None:
    """Accuracies with 8 times the output, less the shipped baseline's, paired by seed."""
    shipped, kernel = (
        shipped_by_variant("quick")[BASELINE],
        changed(OUTPUT, OUTPUT.replace("(o_inter", "(8 * (o_inter") + ")"),
    )
    found: dict[TaskName, list[float]] = {}
    for spec in trial_specs(QUICK):
        scored = score(trained(spec, kernel), QUICK.job(spec, SEED.layer), QUICK, spec, kernel, kernel)
        known = at(shipped, spec).accuracy
        assert not isinstance(scored, Failure)
        assert known is not None
        found.setdefault(spec.task, []).append(scored.accuracy - known)
    print("| task | seeds 0, 1, 2 | mean |\n|---|---|---:|")
    for task, own in found.items():
        print(f"| {task} | {', '.join(f'{x:+.3f}' for x in own)} | {fmean(own):+.3f} |")


def changed(old: str, new: str, **names: Any) -> Kernel:
    """The baseline's kernel with `old` replaced by `new`, which may use `names`."""
    assert old in SEED.source
    exec(SEED.source.replace(old, new) if old else SEED.source, names)
    kernel: Kernel = names[SEED.contract.function]
    return kernel


def trained(spec: TrialSpec, kernel: Kernel, report: Callable[[Any], None] = lambda _: None) -> dict[str, torch.Tensor]:
    """The weights of one training."""
    return train(QUICK.job(spec, SEED.layer).model_dump(mode="json"), QUICK.training_data(spec), kernel, report)


def at(trials: list[Trial], spec: TrialSpec) -> Trial:
    """The trial of a spec."""
    return next(trial for trial in trials if spec_of(trial) == spec)


if __name__ == "__main__":
    main()
