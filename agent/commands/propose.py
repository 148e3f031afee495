"""`archer propose`: the main job."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.markup import escape

from agent.analysis.boards.board import open_board
from agent.commands.model_options import (
    BaseUrlOption,
    CommandOption,
    ContextTokensOption,
    FormOption,
    GgufOption,
    LLMFileOption,
    MaxUsdOption,
    ModelOption,
    PricesOption,
    PromptsOption,
    ReplyTokensOption,
)
from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    QuietOption,
    find_judging_protocol,
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
from agent.listener import Listener, heard_by
from agent.proposers.open_proposer import CHOICES, Choice, open_proposer, require_model
from agent.search.attempt import SearchResources
from agent.search.engine import DEFAULT_SHARE, EngineName, open_engine
from agent.search.loop import Search, SearchPlan, interrupted_proposals
from agent.terminal.discoveries import archive_lines
from agent.terminal.ideas import learnt_lines
from agent.terminal.interrupt import interruptible
from agent.terminal.progress import Progress
from agent.terminal.speech import Speech
from agent.terminal.time_left import RACED, UNRACED
from agent.terminal.view import OUTCOME_MARK, OUTCOME_STYLE, name_markup, status_cell, summaries
from agent.words import accuracy, counted, signed
from archive.names import find_name
from archive.records.record import Record
from archive.seeding import make_if_none
from archive.store import Archive
from evaluator.outcomes import Grade, Status
from evaluator.protocols.built_in import JUDGING, tasks_of
from evaluator.protocols.protocol import Protocol
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import TASKS
from evaluator.trials.trial_log import TrialLog


def propose(
    n: Annotated[
        int,
        typer.Option("--n", min=0, help="Make so many proposals; 0 only finishes what was interrupted."),
    ] = 5,
    proposer: Annotated[
        str,
        typer.Option(
            metavar="|".join(CHOICES), help="Ask this proposer; auto asks a language model if one is configured."
        ),
    ] = "auto",
    protocol: Annotated[
        str | None,
        typer.Option(
            show_default=f"{DEFAULT_PROTOCOL}, or where the ladder begins",
            help=f"Judge the search by this protocol: {', '.join(each.name for each in JUDGING)}.",
        ),
    ] = None,
    parent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Build on this variant; else the proposer chooses.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Work on so many proposals at once.")] = 2,
    engine: EngineOption = EngineName.LOCAL,
    gpu_share: GpuShareOption = DEFAULT_SHARE,
    max_minutes: Annotated[float | None, typer.Option(min=0, help="Start no proposal after so many minutes.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the proposer's choices; else the number of archived proposals.")
    ] = None,
    model: ModelOption = None,
    command: CommandOption = None,
    base_url: BaseUrlOption = None,
    gguf: GgufOption = None,
    form: FormOption = None,
    context_tokens: ContextTokensOption = None,
    reply_tokens: ReplyTokensOption = None,
    repairs: Annotated[
        int, typer.Option(min=0, help="Give a rejected variant back to the model at most so often.")
    ] = 2,
    race: Annotated[
        bool,
        typer.Option("--race/--no-race", help="Stop a variant that has no chance left to get ahead of its parent."),
    ] = True,
    ensemble: EnsembleOption = None,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm/--no-confirm",
            help="Train a possible new best and the best so far on fresh seeds; this costs at least two proposals.",
        ),
    ] = True,
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="PROTOCOLS", help="As quick,standard: train a confirmed new best, with its rival, under the next."
        ),
    ] = None,
    max_usd: MaxUsdOption = None,
    prompts: PromptsOption = None,
    prices: PricesOption = None,
    llm_file: LLMFileOption = None,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Propose variants, check, train and score them, and archive each with a report.

    It makes the archive if there is none. Ctrl-C stops it; what is finished is archived.

    Example: archer propose --n 5
    """
    speech = Speech(as_json, quiet)
    chosen_protocol, *rungs = _rungs(ladder, protocol)
    protocol = chosen_protocol.name
    llm: dict[str, object] = {"model": model, "command": command, "base_url": base_url, "form": form}
    llm |= {"context_tokens": context_tokens, "reply_tokens": reply_tokens}
    llm |= {"max_usd": max_usd, "prompts": prompts, "prices": prices}
    choice = Choice(proposer, gguf, max(1, min(jobs, n)), llm, llm_file)
    require_model(choice)
    archive = make_if_none(archive_path, lambda told: speech.progress.print(told, markup=False))
    if parent is not None and (parent := find_name(given := parent, archive.variant_names())) is None:
        raise UserError(f"--parent {given}: the archive has no such variant; `archer leaderboard` shows the names")
    search_seed = len(archive.ids()) if seed is None else seed
    plan = SearchPlan(
        n=n,
        jobs=choice.jobs,
        seed=search_seed,
        parent=parent,
        max_minutes=max_minutes,
        confirm=confirm,
        rungs=tuple(rungs),
    )
    with (
        heard_by(Listener(detail=lambda said: speech.progress.print(said, markup=False))),
        open_proposer(choice, archive) as (chosen, who),
        open_sandbox(minimum, unsandboxed, speech) as sandbox,
        Progress(speech.progress, n, ends=RACED if race else UNRACED) as progress,
        open_engine(engine, gpu_share, sandbox.grade, lambda line: progress.announce(escape(line))) as workers,
    ):
        progress.announce(escape(f"proposer: {who}"))
        progress.announce(escape(f"protocol {protocol}, sandbox grade {sandbox.grade}, archive {archive.root}"))
        if len(chosen_protocol.seeds) < 2 and (race or confirm):
            progress.announce(f"{protocol} trains one seed: nothing is raced, and nothing is called a new best")
        log = TrialLog(archive.unfinished, anywhere=engine is EngineName.RAY)
        resources = SearchResources(chosen, sandbox, chosen_protocol, workers, repairs, race, ensemble, log)
        search = Search(archive, resources, plan, progress)
        with interruptible(search.stop, progress.announce) as interrupted:
            records = [_announced(record, progress) for record in search.run()]
    with archive.at_one_moment():
        _answer(speech, archive, records, protocol)
    if interrupted.is_set():
        _say_how_to_go_on(speech, archive, chosen_protocol)
        return INTERRUPTED
    if search.error is not None:
        raise search.error
    return NO if n > 0 and search.made == 0 else DONE


def _rungs(ladder: str | None, protocol: str | None) -> list[Protocol]:
    """The protocol that judges the search, then those above it. Raises UserError for a ladder that does not rise."""
    if ladder is None:
        return [find_judging_protocol(protocol or DEFAULT_PROTOCOL)]
    found = [find_judging_protocol(name.strip()) for name in ladder.split(",")]
    places = [JUDGING.index(each) for each in found]
    if len(places) < 2 or places != sorted(set(places)):
        rising = ", ".join(each.name for each in JUDGING)
        raise UserError(f"--ladder {ladder}: name two protocols or more, from the smaller to the larger of {rising}")
    if protocol not in (None, found[0].name):
        raise UserError(f"--ladder {ladder} begins with {found[0].name}, and --protocol says {protocol}: leave one out")
    return found


def _say_how_to_go_on(speech: Speech, archive: Archive, protocol: Protocol) -> None:
    if left := len(interrupted_proposals(archive, protocol)):
        whom, command = "it" if left == 1 else "them", f"archer propose{_options(archive, protocol.name)}"
        speech.progress.print(
            f"{counted(left, 'proposal')} INTERRUPTED: the next `{command}` starts by finishing {whom}; "
            f"`{command} --n 0` finishes {whom} and proposes nothing new",
            markup=False,
        )


def _announced(record: Record, progress: Progress) -> Record:
    status, style = status_cell(record.status, record.no_effect)
    told = record.reason.removeprefix(f"{status}: ")
    reason = f": {escape(told)}" if told else ""
    progress.announce(f"[{style}]{status:11}[/] {record.number:4} {name_markup(record.proposal.variant.name)}{reason}")
    return record


def _answer(speech: Speech, archive: Archive, records: Sequence[Record], protocol: str) -> None:
    if speech.as_json:
        record_ids = {record.id for record in records}
        speech.answer(summaries(archive, [line for line in archive.lines() if line.id in record_ids]))
        return
    if records:
        learnt = learnt_lines(records, open_board(protocol, archive))
        for line in (*_lines(records, tasks_of(protocol)), *archive_lines(archive, protocol), *learnt):
            speech.out.print(line)
        show = f"archer show {records[0].number}{_options(archive)}"
        board = f"archer leaderboard{_options(archive, protocol)}"
        speech.out.print(f"read one: {show}; all scores: {board}", markup=False)
    else:
        speech.out.print("nothing was proposed")
        for line in archive_lines(archive, protocol):
            speech.out.print(line)


def _options(archive: Archive, protocol: str = DEFAULT_PROTOCOL) -> str:
    """What to add to a command so that it is of this archive and protocol: nothing where they are the usual ones."""
    of_protocol = "" if protocol == DEFAULT_PROTOCOL else f" --protocol {protocol}"
    return of_protocol + ("" if archive.root == DEFAULT_ARCHIVE else f" --archive {archive.root}")


def _lines(records: Sequence[Record], tasks: Sequence[TaskName]) -> Iterator[str]:
    """A proposal's name and parent; then its scores and differences to the parent, coloured, or why it has none."""
    legend = "[green]▲ better[/], [red]▼ worse[/], [cyan]= cannot differ[/], [dim]else within noise[/]"
    yield f"score and difference to the parent: {legend}"
    yield "[bold]" + " " * 5 + "".join(f"{TASKS[task].short:14}" for task in tasks) + "[/]"
    for record in records:
        proposal = record.proposal
        status, style = status_cell(record.status, record.no_effect)
        shown = "" if status == Status.SCORED else f" [{style}]{status}[/]"
        yield f"{record.number:4} [bold]{name_markup(proposal.variant.name)}[/]{shown}"
        yield f"     from {name_markup(proposal.parent)}"
        if record.scorecard:
            yield " " * 5 + "".join(_cell(record, task) for task in tasks)
        elif record.reason:
            yield f"     [dim]{escape(record.reason.removeprefix(f'{record.status}: '))}[/]"


def _cell(record: Record, task: TaskName) -> str:
    score = record.scorecard.scores.get(task) if record.scorecard else None
    against = next((verdict for verdict in record.verdicts if verdict.against == record.proposal.parent), None)
    found = against.tasks.get(task) if against else None
    if score is None or found is None:
        return f"{accuracy(score.mean) if score else '–':14}"
    text = f"{accuracy(score.mean)} {signed(found.difference)}{OUTCOME_MARK[found.outcome]}"
    return f"[{OUTCOME_STYLE[found.outcome]}]{text:14}[/]"
