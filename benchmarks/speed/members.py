"""Several trials trained as one model against the same trials apart."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from benchmarks.speed.timing import interleaved
from evaluator.protocols.built_in import QUICK
from evaluator.protocols.protocol import trial_specs
from evaluator.tasks.registry import MAD_TASKS
from evaluator.training import ensemble
from evaluator.training.jobs import EnsembleJob
from evaluator.training.train import train
from variants.contract import Layer
from variants.delta_net_4layer import delta_rule_chunkwise

COUNTS = (3, 6)
STEPS = 6


def members(rounds: int) -> None:
    """CPU-seconds of a step and member, trained as one and apart, at the shapes of `quick`. Seeds are the members."""
    print("| task | members | apart, ms | as one, ms | apart / as one |\n|---|---:|---:|---:|---:|")
    for task in MAD_TASKS:
        for count in COUNTS:
            specs = trial_specs(QUICK, [task], range(count))
            jobs = [QUICK.job(spec, Layer.DELTA_NET).model_copy(update={"steps": STEPS, "warmup": 0}) for spec in specs]
            together = EnsembleJob(members=tuple(jobs), data=tuple(range(count))).model_dump(mode="json")
            sets = [QUICK.training_data(spec) for spec in specs]
            data = {f"{n}/{name}": tensor for n, each in enumerate(sets) for name, tensor in each.items()}
            asked = [(job.model_dump(mode="json"), own) for job, own in zip(jobs, sets, strict=True)]
            ways: dict[str, Callable[[], object]] = {
                "apart": partial(_apart, asked),
                "one": partial(ensemble.train, together, data, delta_rule_chunkwise, lambda _: None),
            }
            found = {name: 1e3 * each / STEPS / count for name, each in interleaved(ways, rounds + 1).items()}
            ratio = found["apart"] / found["one"]
            print(f"| {task} | {count} | {found['apart']:.1f} | {found['one']:.1f} | {ratio:.2f} |", flush=True)
    print()


def _apart(asked: list[tuple[dict[str, object], dict[str, Tensor]]]) -> None:
    for job, data in asked:
        train(job, data, delta_rule_chunkwise, lambda _: None)
