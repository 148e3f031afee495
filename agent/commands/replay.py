"""`archer replay`: an archived proposal made again from what was recorded, with no key and no network."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.markup import escape

from agent.commands.open_archive import existing_archive
from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    QuietOption,
    chosen_tasks,
    find_protocol,
)
from agent.commands.running_options import SandboxOption, UnsandboxedOption, open_sandbox
from agent.errors import DONE, INTERRUPTED, NO, UserError
from agent.replaying.machine import environment, environment_lines
from agent.replaying.measured import Training, check_steps, protocol_step
from agent.replaying.noise import ReplayNoise
from agent.replaying.original import Original, find_original
from agent.replaying.rebuilt import rebuilt_steps
from agent.replaying.steps import Answer, ReplayStep, worst
from agent.search.engine import at_once_here
from agent.search.pipeline import Pipeline
from agent.terminal.interrupt import interruptible
from agent.terminal.speech import Speech
from archive.store import Archive
from evaluator.outcomes import Grade
from evaluator.protocols.protocol import Protocol
from evaluator.sandbox import Sandbox
from evaluator.tasks.names import TaskName
from evaluator.trials.evaluate import Evaluator, TrialProgress
from evaluator.trials.run_trial import Isolation

STYLE: dict[Answer, str] = {"identical": "green", "within noise": "cyan", "differs": "bold yellow"}


def replay(
    reference: Annotated[
        str, typer.Argument(metavar="ID", help="A number, a name or a short name; a seed variant, too.")
    ],
    evaluate: Annotated[bool, typer.Option("--evaluate", help="Also train and score again.")] = False,
    tasks: Annotated[str | None, typer.Option(help='Train only these tasks, as "Memorize,Compress".')] = None,
    protocol: Annotated[
        str, typer.Option(help="Take the scores of a seed variant from this protocol; a proposal has its own.")
    ] = DEFAULT_PROTOCOL,
    prompts: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Take prompt templates from this folder first.")
    ] = None,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Make a proposal again and say what differs.

    It repeats prompt, reply, file and checks, and with --evaluate the training and the scores. Each step is identical,
    within noise, or differs. It needs no key and no network. The exit code is 1 if a step differs by more than noise.

    Example: archer replay 1 --evaluate
    """
    speech = Speech(as_json, quiet)
    if tasks is not None and not evaluate:
        raise UserError(f"--tasks {tasks} says what to train: add --evaluate")
    archive = existing_archive(archive_path)
    original = find_original(archive, reference, protocol)
    stop = Event()
    steps = []
    with open_sandbox(minimum, unsandboxed, speech) as sandbox:
        settings = find_protocol(original.protocol)
        chosen = chosen_tasks(tasks, settings) if evaluate else ()
        work = _Replay(archive, original, settings, sandbox, chosen, prompts, speech, stop)
        with interruptible(stop.set, speech.progress.print) as interrupted:
            for step in work.steps():
                steps.append(step)
                _print(speech, step)
    _answer(speech, original, steps)
    if interrupted.is_set():
        return INTERRUPTED
    return NO if worst(steps) == "differs" else DONE


@dataclass(frozen=True)
class _Replay:
    archive: Archive
    original: Original
    protocol: Protocol
    sandbox: Sandbox
    tasks: tuple[TaskName, ...]
    prompts: Path | None
    speech: Speech
    stop: Event

    def steps(self) -> Iterator[ReplayStep]:
        yield from rebuilt_steps(self.original, self.prompts)
        yield (current := protocol_step(self.original, self.protocol))
        if self.original.check is not None or self.original.fingerprint:
            parent = self.archive.variants().get(self.original.parent)
            with self._pipeline() as pipeline:
                again = pipeline.check(self.original.rebuilt, parent, loop_only=self.original.of_a_search)
            yield from check_steps(self.original, again)
        if self.tasks and current.answer == "identical" and not self.stop.is_set():
            yield from self._training()

    def _training(self) -> Iterator[ReplayStep]:
        known = self.archive.trials(self.original.protocol)
        training = Training.of(self.original, self.tasks, ReplayNoise.of(known))
        if not training.trained and not training.inherited:
            return
        total, ended = len(training.trained), 0

        def follow(news: TrialProgress) -> None:
            nonlocal ended
            if news.trial is not None:
                ended += 1
                self.speech.progress.print(f"trained again: {ended} of {total}", markup=False)

        with self._pipeline(follow) as pipeline:
            result = pipeline.train(self.original.rebuilt, tuple(training.trained))
        yield from training.steps(result.trials, known)

    @contextmanager
    def _pipeline(self, follow: Callable[[TrialProgress], None] = lambda _: None) -> Iterator[Pipeline]:
        """Isolated as the record was: split training must be bit-identical, but only the same way is a replay."""
        isolation: Isolation = self.original.trained[-1].isolation if self.original.trained else "sandbox"
        with ThreadPoolExecutor(at_once_here()) as executor:
            yield Pipeline(Evaluator(self.protocol, self.sandbox, executor, isolation), follow=follow, stop=self.stop)


def _print(speech: Speech, step: ReplayStep) -> None:
    if not speech.as_json:
        speech.out.print(f"{step.part:8} {escape(step.what)}: [{STYLE[step.answer]}]{escape(step.told)}[/]")


def _answer(speech: Speech, original: Original, steps: list[ReplayStep]) -> None:
    if speech.as_json:
        record = original.record
        speech.answer(
            {
                "id": record.number if record else None,
                "name": original.recorded.name,
                "answer": worst(steps),
                "environment": environment(original.trials),
                "steps": [step.to_json() for step in steps],
            }
        )
        return
    counts = [f"{sum(step.answer == answer for step in steps)} {answer}" for answer in STYLE]
    speech.out.print(f"{original.recorded.name}: [{STYLE[worst(steps)]}]{worst(steps)}[/] ({', '.join(counts)})")
    for line in environment_lines(original.trials):
        speech.out.print(f"  {line}", markup=False)
