"""`archer evaluate`: check, train and score one variant."""

from pathlib import Path
from threading import Event
from typing import Annotated, Any

import typer
from rich.status import Status as Spinner

from agent.analysis.boards.floors import floor
from agent.commands.open_archive import archive_to_compare_with, existing_archive
from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    ProtocolOption,
    QuietOption,
    chosen_tasks,
    find_protocol,
)
from agent.commands.running_options import (
    EngineOption,
    EnsembleOption,
    GpuShareOption,
    SandboxOption,
    UnsandboxedOption,
    open_sandbox,
)
from agent.errors import DONE, INTERRUPTED, NO, UserError
from agent.search.by_hand.add_to_archive import add_by_hand
from agent.search.by_hand.evaluate_variant import VariantRequest, VariantResult
from agent.search.engine import DEFAULT_SHARE, EngineName, at_once_here, open_engine
from agent.search.ensemble_size import members_of, require_memory
from agent.search.find_variant import find_variant
from agent.search.pipeline import Pipeline
from agent.terminal.discoveries import fresh_lines
from agent.terminal.interrupt import interruptible
from agent.terminal.progress import Heartbeat
from agent.terminal.speech import Speech
from agent.terminal.trials_under_way import UnderWay
from agent.terminal.view import check_lines, fresh_json, inherited_text, scores_json, twin_text, verdict_table
from agent.words import counted
from archive.store import Archive
from evaluator.outcomes import Grade, Status
from evaluator.statistics.scorecards import losses_by_task
from evaluator.trials.evaluate import Evaluator
from evaluator.trials.run_trial import Isolation
from evaluator.trials.trial_log import TrialLog


def evaluate(
    subject: Annotated[
        str, typer.Argument(metavar="FILE_OR_NAME", help="A variant file; or a number, a name or a short name.")
    ],
    protocol: ProtocolOption = DEFAULT_PROTOCOL,
    tasks: Annotated[str | None, typer.Option(help='Train only these tasks, as "Memorize,Compress".')] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Train so many seeds; else as many as the protocol has.")
    ] = None,
    confirm: Annotated[
        bool,
        typer.Option("--confirm", help="Train variant and parent on fresh seeds, with only the kernel in the sandbox."),
    ] = False,
    add: Annotated[bool, typer.Option("--add", help="Put the result into the archive.")] = False,
    parent: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare with this variant; else with the recorded parent, or the baseline."),
    ] = None,
    ensemble: EnsembleOption = None,
    engine: EngineOption = EngineName.LOCAL,
    gpu_share: GpuShareOption = DEFAULT_SHARE,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check, train and score one variant. It is compared with its parent and with the gated reference.

    The exit code is 1 if a check or the training fails. With an archive, finished trials are kept until `--add`
    archives them: the same command goes on where it was stopped, and trains nothing again.

    Example: archer evaluate delta_net_4layer --protocol smoke
    """
    speech = Speech(as_json, quiet)
    settings = find_protocol(protocol)
    chosen = chosen_tasks(tasks, settings)
    if confirm and ensemble:
        raise UserError("--confirm trains each run with its kernel apart: leave out --ensemble")
    if confirm and add:
        raise UserError(
            "--add: scores on the fresh seeds of --confirm are for no leaderboard; leave out one of the two"
        )
    archive = _writable(archive_path) if add else archive_to_compare_with(archive_path, speech.progress.print)
    variant = find_variant(subject, archive)
    if archive is not None:
        variant = variant.model_copy(update={"name": archive.name_of(variant)})
    request = VariantRequest.of(variant, settings, chosen, seeds, parent, archive)
    if confirm:
        request = request.fresh()
    elif add:
        request = request.using_archived()
    else:
        _say_what_is_there(request, archive, speech)
    members = 1 if confirm else members_of(ensemble, settings, variant.layer, request.specs)
    if engine is EngineName.LOCAL:
        require_memory(settings, variant.layer, request.training, members, at_once_here(gpu_share), speech)
    stop = Event()
    with (
        open_sandbox(minimum, unsandboxed, speech) as sandbox,
        Spinner(f"checking {variant.name}", console=speech.progress) as spinner,
        open_engine(
            engine, gpu_share, sandbox.grade, lambda line: spinner.console.print(line, markup=False)
        ) as workers,
        Heartbeat(speech.progress, lambda: [str(spinner.status)]),
        interruptible(stop.set, spinner.update) as interrupted,
    ):
        log = None
        if archive is not None and archive.is_writable:
            log = TrialLog(archive.unfinished, anywhere=engine is EngineName.RAY)
        isolation: Isolation = "split" if confirm else "sandbox"
        evaluator = Evaluator(settings, sandbox, workers.executor, isolation, members, log, workers.run_group)
        under_way = UnderWay(settings, request.training)
        result = request.run(Pipeline(evaluator, {}, lambda step: spinner.update(under_way.told(step)), stop))
    added = add_by_hand(archive, result) if add and archive is not None else ""
    if added and result.evaluated.status is not Status.INTERRUPTED:
        evaluator.archived(variant, request.specs)
    _answer(speech, result, added)
    if interrupted.is_set():
        return INTERRUPTED
    return DONE if result.evaluated.status is Status.SCORED else NO


def _writable(path: Path) -> Archive:
    archive = existing_archive(path)
    if not archive.is_writable:
        raise UserError(f"--add: {archive.root} cannot be written to; leave out --add, or make it writable")
    return archive


def _say_what_is_there(request: VariantRequest, archive: Archive | None, speech: Speech) -> None:
    there = len(request.using_archived().known) if archive is not None else 0
    if there:
        whole = counted(len(request.specs), "trial")
        speech.progress.print(f"the archive has {there} of {whole}: --add takes them, and this trains its own")


def _answer(speech: Speech, result: VariantResult, added: str) -> None:
    request, evaluated = result.request, result.evaluated
    scores = evaluated.card.scores if evaluated.card else {}
    if speech.as_json:
        speech.answer(_document(result, added))
        return
    if evaluated.report.verdict == "fail":
        speech.out.print("\n".join(check_lines(evaluated.report)))
        failed = sum(finding.status == "fail" for finding in evaluated.report.findings)
        speech.out.print(f"{evaluated.status}: {counted(failed, 'check')} failed, so nothing was trained.", style="red")
    elif evaluated.card is None:
        speech.out.print(f"{evaluated.status}: {evaluated.reason}", style="red", markup=False)
    else:
        title = f"{request.variant.name}, {request.protocol.name}"
        tasks, low = tuple(request.protocol.tasks), floor(request.protocol.name, request.protocol.hash)
        speech.out.print(verdict_table(title, scores, evaluated.verdicts, tasks, low, losses_by_task(evaluated.trials)))
        if evaluated.report.duplicate_of:
            speech.out.print(twin_text(evaluated.report), style="yellow", markup=False)
        if evaluated.no_effect:
            speech.out.print(evaluated.reason, style="yellow", markup=False)
        if told := inherited_text(evaluated.report):
            speech.out.print(told, style="cyan", markup=False)
        for line in fresh_lines(result.fresh) if result.fresh else ():
            speech.out.print(line)
        kept = added or ("on fresh seeds: for no leaderboard" if result.fresh else _what_add_would_do(request))
        speech.out.print(f"{result.cpu_seconds:.0f} CPU s, {result.wall_seconds:.0f} s; {kept}", markup=False)
        return
    if added:
        speech.out.print(added, markup=False)


def _what_add_would_do(request: VariantRequest) -> str:
    there = request.using_archived().known
    return "--add archives this as it is" if len(there) < len(request.specs) else "known already: --add adds nothing"


def _document(result: VariantResult, added: str) -> dict[str, Any]:
    request, evaluated = result.request, result.evaluated
    scores = evaluated.card.scores if evaluated.card else {}
    against = [verdict for verdict in evaluated.verdicts if verdict.against == request.parent.name]
    document: dict[str, Any] = evaluated.report.model_dump(mode="json", exclude={"fingerprint"}) | {
        "status": evaluated.status,
        "reason": evaluated.reason,
        "no_effect": evaluated.no_effect,
        "scores": scores_json(scores),
        "test_losses": losses_by_task(evaluated.trials),
        "versus_parent": against[0].model_dump(mode="json") if against else None,
        "cpu_seconds": result.cpu_seconds,
        "protocol": {"name": request.protocol.name, "hash": request.protocol.hash},
    }
    if result.fresh:
        document["fresh_seeds"] = fresh_json(result.fresh)
    return document | ({"added": added} if added else {})
