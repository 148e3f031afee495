"""`archer evaluate`: check, train and score one variant."""

from typing import Annotated, Any

import typer
from rich.status import Status as Spinner

from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    ProtocolOption,
    QuietOption,
    SandboxOption,
    Speech,
    UnsandboxedOption,
    find_protocol,
    open_sandbox,
)
from agent.errors import DONE, INTERRUPTED, NO, UserError
from agent.search.add_by_hand import archive_result
from agent.search.engine import DEFAULT_SHARE, EngineName, EngineOption, GpuShareOption, at_once_here, open_engine
from agent.search.ensemble_size import EnsembleOption, members_of, require_memory
from agent.search.evaluate_variant import Measured, Measurement
from agent.search.find_variant import archive_if_any, existing_archive, find_variant
from agent.terminal.interrupt import interruptible
from agent.terminal.progress import Heartbeat
from agent.terminal.trials_under_way import UnderWay
from agent.terminal.view import check_lines, inherited_text, scores_json, verdict_table
from evaluator.outcomes import Grade, Status
from evaluator.trials.evaluate import Evaluator
from evaluator.trials.train_and_score import Isolation
from evaluator.trials.trial_log import TrialLog
from variants.contract import TASKS, Task


def evaluate(
    subject: Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="A variant file, or the name of a known one.")],
    protocol: ProtocolOption = DEFAULT_PROTOCOL,
    tasks: Annotated[str, typer.Option(help='Only these, as in "Memorize,Compress".')] = ",".join(TASKS),
    seeds: Annotated[int | None, typer.Option(min=1, help="How many; else as the protocol says.")] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="On fresh seeds, the parent, too; the kernel alone in the sandbox.")
    ] = False,
    add: Annotated[bool, typer.Option("--add", help="Put the result into the archive.")] = False,
    parent: Annotated[str | None, typer.Option(metavar="NAME", help="Compare with this variant.")] = None,
    ensemble: EnsembleOption = None,
    engine: EngineOption = EngineName.LOCAL,
    gpu_share: GpuShareOption = DEFAULT_SHARE,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check, train and score a variant; compare it with its parent. Exit code 1 if a check or the training fails.

    Where there is an archive, an evaluation that was stopped goes on with the trials that had ended.

    Example: archer evaluate delta_net_4layer --protocol smoke
    """
    speech = Speech(as_json, quiet)
    settings, chosen = find_protocol(protocol), tasks_of(tasks)
    if confirm and ensemble:
        raise UserError("--confirm trains each run with its kernel apart: leave out --ensemble")
    if confirm and add:
        raise UserError(
            "--add: scores on the fresh seeds of --confirm are for no leaderboard; leave out one of the two"
        )
    found = existing_archive(archive) if add else archive_if_any(archive)
    variant = find_variant(subject, found)
    measurement = Measurement.of(variant, settings, chosen, seeds, parent, found)
    measurement = measurement.on_fresh_seeds() if confirm else measurement
    members = 1 if confirm else members_of(ensemble, settings, variant.layer, measurement.specs)
    if engine is EngineName.LOCAL:
        require_memory(settings, variant.layer, measurement.specs, members, at_once_here(gpu_share), speech)
    with (
        open_sandbox(minimum, unsandboxed, speech) as sandbox,
        open_engine(engine, gpu_share, sandbox.grade, speech) as workers,
        Spinner(f"checking {variant.name}", console=speech.progress) as spinner,
        Heartbeat(speech.progress, lambda: [str(spinner.status)]),
        interruptible(measurement.stop.set, spinner.update) as interrupted,
    ):
        log = TrialLog(found.unfinished) if found is not None else None
        isolation: Isolation = "split" if confirm else "sandbox"
        evaluator = Evaluator(settings, sandbox, workers.executor, isolation, members, log, workers.run_group)
        under_way = UnderWay(settings, measurement.training)
        measured = measurement.run(evaluator, lambda step: spinner.update(under_way.told(step)))
    if add and found is not None:
        archive_result(found, measured)
    _answer(speech, measured, added=add)
    if interrupted.is_set():
        return INTERRUPTED
    return DONE if measured.status is Status.SCORED else NO


def tasks_of(text: str) -> tuple[Task, ...]:
    """Tasks by name, in any case. Raises UserError naming those there are."""
    by_name = {task.lower(): task for task in TASKS}
    found = []
    for name in text.split(","):
        if (task := by_name.get(name.strip().lower())) is None:
            raise UserError(f"--tasks: no task is called {name.strip()!r}; choose from {', '.join(TASKS)}")
        found.append(task)
    return tuple(dict.fromkeys(found))


def _answer(speech: Speech, measured: Measured, added: bool) -> None:
    scores = measured.card.scores if measured.card else {}
    if speech.as_json:
        protocol = {"name": measured.protocol.name, "hash": measured.protocol.hash}
        against = [verdict for verdict in measured.verdicts if verdict.against == measured.parent]
        fresh = {"fresh_seeds": measured.fresh.to_json()} if measured.fresh else {}
        document: dict[str, Any] = measured.report.model_dump(mode="json", exclude={"fingerprint"}) | {
            "status": measured.status,
            "reason": measured.reason,
            "scores": scores_json(scores),
            "versus_parent": against[0].model_dump(mode="json") if against else None,
            "cpu_seconds": measured.cpu_seconds,
            "protocol": protocol,
        }
        speech.answer(document | fresh)
        return
    if measured.report.verdict == "fail":
        speech.out.print("\n".join(check_lines(measured.report)))
    elif measured.card is None:
        speech.out.print(f"{measured.status}: {measured.reason}", style="red", markup=False)
    else:
        speech.out.print(verdict_table(f"{measured.variant.name}, {measured.protocol.name}", scores, measured.verdicts))
        if told := inherited_text(measured.report):
            speech.out.print(told, style="cyan", markup=False)
        for line in measured.fresh.lines() if measured.fresh else ():
            speech.out.print(line)
        kept = "in the archive" if added else "--add archives this"
        kept = "on fresh seeds: for no leaderboard" if measured.fresh else kept
        speech.out.print(f"{measured.cpu_seconds:.0f} CPU s, {measured.wall_seconds:.0f} s; {kept}")
