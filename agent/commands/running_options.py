"""Options of the commands that run variants: in which sandbox, on which engine."""

from typing import Annotated

import typer

from agent.errors import UserError
from agent.search.engine import EngineName
from agent.terminal.speech import Speech
from evaluator.device import best_device
from evaluator.outcomes import Grade
from evaluator.sandbox import Sandbox

SandboxOption = Annotated[Grade, typer.Option("--sandbox", help="Accept no weaker sandbox than this grade: A, B or C.")]
UnsandboxedOption = Annotated[
    bool, typer.Option("--i-accept-unsandboxed", help="Accept grade D: only limits, no isolation.")
]
EngineOption = Annotated[EngineName, typer.Option("--engine", help="Train here, or on the Ray cluster of RAY_ADDRESS.")]
GpuShareOption = Annotated[float, typer.Option(min=0.01, max=1.0, help="Give each training run this part of a GPU.")]
EnsembleOption = Annotated[
    bool | None,
    typer.Option(
        "--ensemble/--no-ensemble", help="Train the runs of a setting as one model; by default only on a GPU."
    ),
]


def open_sandbox(minimum: Grade, unsandboxed: bool, speech: Speech) -> Sandbox:
    """The best sandbox there is, with a warning if it is weak. Raises SandboxUnavailable, UserError."""
    if minimum is Grade.D and not unsandboxed:
        raise UserError("--sandbox D runs unknown code without a fence; add --i-accept-unsandboxed if you mean it")
    sandbox = Sandbox(minimum=Grade.D if unsandboxed else minimum, device=best_device())
    if sandbox.grade > Grade.B:
        speech.progress.print(f"warning: sandbox of grade {sandbox.grade} only; `archer doctor` says what is missing")
    return sandbox
