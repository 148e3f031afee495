"""Train one or several members on a GPU. The host waits for the device twice a second, not at every step."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.training.graphs import Capture, Replayed, capture_on
from evaluator.training.jobs import REPORT_SECONDS, EnsembleJob, Report, TrainingJob, curve_interval
from evaluator.training.static_step import BLOCK, Reading, StaticStep


def train_one(
    run: TrainingJob, data: Mapping[str, Tensor], kernel: Kernel, report: Report, eager: str = ""
) -> dict[str, Tensor]:
    """Train as `evaluator.training.train.train` does, up to rounding. Raises FloatingPointError."""
    named = {f"0/{name}": tensor for name, tensor in data.items()}
    lost = ""

    def tell(told: Mapping[str, object]) -> None:
        nonlocal lost
        lost = dict(told["diverged"]).get("0", "")  # type: ignore[call-overload]
        if not lost:
            report({name: told[name] for name in ("step", "steps", "loss", "eager")})

    weights = train(EnsembleJob(members=(run,), data=(0,)), named, kernel, tell, eager)
    if lost:
        raise FloatingPointError(lost)
    return {name.partition("/")[2]: tensor for name, tensor in weights.items()}


def train(
    asked: EnsembleJob,
    data: Mapping[str, Tensor],
    kernel: Kernel,
    report: Report,
    eager: str = "",
    capture: Capture | None = None,
) -> dict[str, Tensor]:
    """Train as `evaluator.training.ensemble.train` does, up to rounding.

    eager: why steps shall not be captured, if so. capture: how they are; on CUDA, by default, as CUDA graphs. Reports
    what that function does, and "eager": why the steps were not captured, else empty.
    """
    device = asked.members[0].device
    with _side_stream() if device == "cuda" else nullcontext():
        state = StaticStep(asked, data, kernel, device)
        return _Training(state, report, eager, None if eager else capture or capture_on(device)).train()


def _side_stream() -> AbstractContextManager[None]:
    """A stream for all that training does: the default one cannot be captured."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    found: AbstractContextManager[None] = torch.cuda.stream(stream)
    return found


class _Training:
    def __init__(self, state: StaticStep, report: Report, eager: str, capture: Capture | None) -> None:
        self.state, self.run, self.report, self.capture = state, state.run, report, capture
        self.weights: dict[str, Tensor] = {}
        self.diverged: dict[str, str] = {}
        self.eager = eager
        self.reported = time.monotonic()
        self._prepare()

    def _prepare(self) -> None:
        """Whenever the members change, what was captured is captured anew."""
        self.step, self.look = Replayed(self.state.step, self.capture), Replayed(self.state.look, self.capture)

    def train(self) -> dict[str, Tensor]:
        for step in range(1, self.run.steps + 1):
            if step % BLOCK == 1:
                self.state.draw()
            self.step()
            last = step == self.run.steps
            if self.run.selection is not None and (last or step % self.run.selection.every == 0):
                self.look()
            if last or step % curve_interval(self.run.steps) == 0 or self._is_time():
                self._read(step)
            if not self.state.members.living:
                break
        return self.weights

    def _is_time(self) -> bool:
        return time.monotonic() - self.reported >= REPORT_SECONDS

    def _read(self, step: int) -> None:
        """Read what the device recorded, report it, and take out the members that are through."""
        found = self.state.read()
        self.eager = self.step.eager or self.look.eager or self.eager
        lost = [number for number, each in found.items() if each.diverged_at and not each.mastered_at]
        for number in lost:
            each = found[number]
            message = f"the loss is {each.diverged_loss} at step {each.diverged_at} of {self.run.steps}"
            self.diverged[str(number)] = message
        mastered = {number: each for number, each in found.items() if each.mastered_at}
        running = {number: each.loss for number, each in found.items() if number not in {*lost, *mastered}}
        for at in sorted({each.mastered_at for each in mastered.values()}):
            self._tell(at, {n: each.mastered_loss for n, each in mastered.items() if each.mastered_at == at})
        if running or lost:
            self._tell(step, running)
        last = step == self.run.steps
        for number in (*mastered, *(running if last else ())):
            self._keep(number, found[number])
        if ended := [*lost, *mastered, *(running if last else ())]:
            self.state.drop(ended)
            self._prepare()
        self.reported = time.monotonic()

    def _tell(self, step: int, losses: Mapping[int, float]) -> None:
        mean = sum(losses.values()) / len(losses) if losses else float("nan")
        named = {str(number): loss for number, loss in losses.items()}
        told = {"step": step, "steps": self.run.steps, "loss": mean, "losses": named, "diverged": self.diverged}
        self.report({**told, "eager": self.eager})

    def _keep(self, number: int, reading: Reading) -> None:
        best = self.run.selection is not None and reading.lowest < float("inf")
        kept = self.state.weights(number, best=best)
        self.weights |= {f"{number}/{name}": tensor for name, tensor in kept.items()}
