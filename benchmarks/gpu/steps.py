"""Steps a second, memory, Memorize and scoring on the GPU, in the open: archer's own kernel."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from evaluator.device import best_device
from evaluator.protocols.built_in import MAD
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.scoring.score import ScoredTrial, score
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import examples
from evaluator.training.graphs import WARM_UP, Replayed, capture_on
from evaluator.training.jobs import EnsembleJob
from evaluator.training.on_gpu import train
from evaluator.training.static_step import StaticStep
from evaluator.trials.footprint import footprint
from variants.contract import Layer
from variants.delta_net_4layer import delta_rule_chunkwise

Rows = list[dict[str, object]]
SHAPES: tuple[TaskName, ...] = ("Context Recall", "Fuzzy Recall", "Selective Copy", "Compress", "Memorize")
MEMBERS = (1, 6, 12)
EXAMPLES = 1024
"""Drawn for a measurement of speed: which ones does not matter to it."""
SECONDS, MOST_STEPS = 0.8, 200


def steps(tiny: bool) -> Rows:
    """Steps a second of all members at once, eager and as a graph, against two floors.

    products: the step's matrix products at the rate of a large one in the precision of the layers. launch-free: the
    sum of the times of the GPU's kernels in one eager step, empty on a CPU.
    """
    rows, rate = Rows(), _rate(tiny)
    for task in SHAPES:
        for members in MEMBERS if not tiny else (1, 2):
            products = launch_free = None
            for way in ("eager", "graph") if best_device() == "cuda" else ("eager",):
                with _stream():
                    state = _state(task, members, tiny)
                    step = Replayed(state.step, capture_on(state.run.device) if way == "graph" else None)
                    for _ in range(WARM_UP + 1):
                        step()
                    if products is None:
                        with FlopCounterMode(display=False) as counter:
                            state.step()
                        products, launch_free = counter.get_total_flops() / rate, _kernel_seconds(state.step)
                    seconds = _seconds(step, tiny)
                rows.append(
                    {
                        "task": task,
                        "members": members,
                        "way": way if not step.eager else f"not captured: {step.eager}",
                        "steps a second": 1 / seconds,
                        "ms a step": 1e3 * seconds,
                        "products, ms": 1e3 * products,
                        "launch-free, ms": 1e3 * launch_free if launch_free else "",
                    }
                )
    return rows


def compared_memory(tiny: bool) -> Rows:
    """The estimate against the peak of what PyTorch held, captured step included."""
    rows = Rows()
    for task in SHAPES:
        for members in (1, 12) if not tiny else (1,):
            _reset_peak()
            with _stream():
                state = _state(task, members, tiny)
                step = Replayed(state.step, capture_on(state.run.device))
                for _ in range(WARM_UP + 2):
                    step()
            estimate, peak = footprint(state.run, members), _peak()
            ratio = peak / estimate if peak else ""
            rows.append(
                {
                    "task": task,
                    "members": members,
                    "estimate, GiB": estimate / 2**30,
                    "peak, GiB": peak / 2**30 if peak else "",
                    "peak / estimate": ratio,
                }
            )
    return rows


def mad_memorize(tiny: bool) -> Rows:
    """`mad` Memorize at two vocabularies: six points of the grid as one model, trained to the end and scored."""
    rows = Rows()
    for vocabulary in (256, 1024):
        named = [each for each in trial_specs(MAD, ["Memorize"]) if MAD.setting(each).vocabulary == vocabulary]
        specs = [each for each in named if each.setting == named[0].setting]
        protocol = _small(MAD) if tiny else MAD
        job, data = _ensemble(protocol, specs, tiny)
        told: deque[str] = deque(maxlen=1)
        began = time.monotonic()
        weights = train(job, data, delta_rule_chunkwise, lambda report, told=told: told.append(report["eager"]))
        trained = time.monotonic()
        best = 0.0
        for number, spec in enumerate(specs):
            own = {name.partition("/")[2]: x for name, x in weights.items() if name.startswith(f"{number}/")}
            if own:
                scored = score(own, job.members[number], protocol, spec, delta_rule_chunkwise)
                best = max(best, scored.accuracy if isinstance(scored, ScoredTrial) else 0.0)
        rows.append(
            {
                "V": vocabulary,
                "best accuracy": best,
                "steps": job.members[0].steps,
                "training, s": trained - began,
                "scoring of six, s": time.monotonic() - trained,
                "eager": told[-1],
            }
        )
    return rows


def scoring_share(tiny: bool) -> Rows:
    """Seconds of scoring one trial against training it to the end, in the open: what the sandbox adds is in `quick`."""
    rows = Rows()
    for task in SHAPES:
        spec = trial_specs(MAD, [task])[0]
        protocol = _small(MAD) if tiny else MAD
        with _stream():
            state = _state(task, 1, tiny)
            step = Replayed(state.step, capture_on(state.run.device))
            for _ in range(WARM_UP + 1):
                step()
            seconds = _seconds(step, tiny)
        training = seconds * MAD.job(spec, Layer.DELTA_NET).steps
        weights = state.weights(0, best=False)
        began = time.monotonic()
        score(weights, state.run, protocol, spec, delta_rule_chunkwise)
        scoring = time.monotonic() - began
        rows.append(
            {"task": task, "training, s": training, "scoring, s": scoring, "share": scoring / (scoring + training)}
        )
    return rows


def _state(task: TaskName, members: int, tiny: bool) -> StaticStep:
    setting = trial_specs(MAD, [task])[0].setting
    grid = [each for each in trial_specs(MAD, [task], range(2)) if each.setting == setting]
    protocol = _small(MAD) if tiny else MAD
    job, data = _ensemble(protocol, grid[:members], tiny, count=EXAMPLES if not tiny else 8)
    return StaticStep(job, data, delta_rule_chunkwise, job.members[0].device)


def _ensemble(
    protocol: Protocol, specs: list[TrialSpec], tiny: bool, count: int | None = None
) -> tuple[EnsembleJob, dict[str, torch.Tensor]]:
    changes = {"batch": 4, "steps": 6} if tiny else {}
    jobs = [protocol.job(spec, Layer.DELTA_NET, best_device()).model_copy(update=changes) for spec in specs]
    data = {}
    for seed in sorted({spec.seed for spec in specs}):
        setting = protocol.setting(specs[0])
        train_set = examples(setting, "train", count or setting.train_examples, seed)
        held = examples(setting, "held", min(count or protocol.held_examples, protocol.held_examples), seed)
        data |= {f"{seed}/inputs": train_set.inputs, f"{seed}/targets": train_set.targets}
        data |= {f"{seed}/held_inputs": held.inputs, f"{seed}/held_targets": held.targets}
    return EnsembleJob(members=tuple(jobs), data=tuple(spec.seed for spec in specs)), data


def _small(protocol: Protocol) -> Protocol:
    tasks = {name: plan.model_copy(update={"test_examples": 8}) for name, plan in protocol.tasks.items()}
    return protocol.model_copy(update={"tasks": tasks, "held_examples": 8})


@contextmanager
def _stream() -> Iterator[None]:
    """A stream that can be captured."""
    with torch.cuda.stream(torch.cuda.Stream()) if best_device() == "cuda" else nullcontext():
        yield


def _seconds(step: Callable[[], None], tiny: bool) -> float:
    """Of one step, over as many as SECONDS hold."""
    _wait()
    began, done = time.monotonic(), 0
    while done < (2 if tiny else MOST_STEPS) and time.monotonic() - began < SECONDS:
        for _ in range(1 if tiny else 10):
            step()
        done += 1 if tiny else 10
        _wait()
    return (time.monotonic() - began) / done


def _rate(tiny: bool) -> float:
    """FLOP/s of a large product in the precision that `mad` trains in."""
    size, kind = (256 if tiny else 8192), torch.bfloat16 if best_device() == "cuda" else torch.float32
    a = torch.randn(size, size, device=best_device(), dtype=kind)
    return 2 * size**3 / _seconds(lambda: torch.mm(a, a), tiny)


def _kernel_seconds(step: Callable[[], None]) -> float:
    if best_device() != "cuda":
        return 0.0
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as trace:
        step()
        _wait()
    return sum(event.self_device_time_total for event in trace.key_averages()) / 1e6


def _wait() -> None:
    if best_device() == "cuda":
        torch.cuda.synchronize()


def _reset_peak() -> None:
    if best_device() == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    """Bytes of tensors at the peak; 0 on a CPU, where PyTorch does not count them."""
    return torch.cuda.max_memory_allocated() if best_device() == "cuda" else 0
