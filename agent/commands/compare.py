"""`archer compare`: which proposer is worth its cost?"""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

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
    DEFAULT_PROTOCOL,
    JsonOption,
    JudgingProtocolOption,
    QuietOption,
    find_judging_protocol,
)
from agent.commands.running_options import SandboxOption, UnsandboxedOption, open_sandbox
from agent.comparing.arms import Arm, ProposerBudget
from agent.comparing.best_so_far import curve, differences
from agent.comparing.plot import plot_curves
from agent.comparing.view import answer
from agent.errors import DONE, INTERRUPTED, UserError
from agent.proposer import Proposer
from agent.proposers.open_proposer import Choice, open_proposer
from agent.reports.figures import require_drawable
from agent.search.attempt import SearchResources
from agent.search.engine import DEFAULT_SHARE, EngineName, open_engine
from agent.search.loop import Search, SearchPlan
from agent.terminal.durations import duration
from agent.terminal.interrupt import interruptible
from agent.terminal.progress import Progress
from agent.terminal.speech import Speech
from agent.words import counted
from archive.seeding import make_if_none, shipped_by_variant
from archive.store import Archive
from evaluator.outcomes import Grade
from evaluator.trials.trial_log import TrialLog
from variants.contract import BASELINE

PROPOSERS = ("evolve", "random", "openai")
DEFAULT_PROPOSERS, DEFAULT_PROPOSALS = "evolve,random", 10


def compare(
    proposers: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help=f"Compare these: {', '.join(PROPOSERS)}.")
    ] = None,
    proposals: Annotated[
        int | None,
        typer.Option(
            "--n",
            "--budget-proposals",
            min=1,
            help="Train at most so many proposals of each; 10 where --minutes alone is given.",
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", "--budget-minutes", min=0, help="Train each for so many CPU-minutes.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Repeat all of it so often, each in an archive of its own.")] = 1,
    protocol: JudgingProtocolOption = DEFAULT_PROTOCOL,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Keep the archives in this folder; the same folder again goes on.")
    ] = Path("archer-compare"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first repeat.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Work on so many proposals at once.")] = 1,
    model: ModelOption = None,
    command: CommandOption = None,
    base_url: BaseUrlOption = None,
    gguf: GgufOption = None,
    form: FormOption = None,
    context_tokens: ContextTokensOption = None,
    reply_tokens: ReplyTokensOption = None,
    max_usd: MaxUsdOption = None,
    prompts: PromptsOption = None,
    prices: PricesOption = None,
    llm_file: LLMFileOption = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the curves to this file: .png, .svg, .pdf.")
    ] = None,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Set proposers against each other at equal budget.

    It shows how good the best proposal of each was, and when. This takes hours: every proposal is trained in full. The
    same command goes on where it was stopped. `archer versus` compares two variants, and trains nothing.

    Example: archer compare --proposers openai,evolve,random --gguf model.gguf --n 20 --minutes 80 --out duel
    """
    speech, settings = Speech(as_json, quiet), find_judging_protocol(protocol)
    names = _names(DEFAULT_PROPOSERS if proposers is None else proposers)
    if plot is not None:
        require_drawable(plot)
    llm: dict[str, object] = {"model": model, "command": command, "base_url": base_url, "form": form}
    llm |= {"context_tokens": context_tokens, "reply_tokens": reply_tokens}
    llm |= {"max_usd": max_usd, "prompts": prompts, "prices": prices}
    asked = Choice("openai", gguf, jobs, llm, llm_file)
    if "openai" not in names and (given := asked.given()):
        raise UserError(f"{', '.join(given)}: no language model is compared; add openai to --proposers")
    if proposers is None or (proposals is None and minutes is None):
        raise UserError(_asked(names, proposals or DEFAULT_PROPOSALS, repeats, protocol))
    budget = ProposerBudget(proposals or DEFAULT_PROPOSALS, minutes)
    archives = {name: [make_if_none(out / f"{name}-{index}") for index in range(1, repeats + 1)] for name in names}
    with (
        ExitStack() as stack,
        open_sandbox(minimum, unsandboxed, speech) as sandbox,
        open_engine(EngineName.LOCAL, DEFAULT_SHARE, sandbox.grade, speech.progress.print) as workers,
    ):
        opened: dict[str, Proposer] = {}
        for name in sorted(names, key=lambda name: name != "openai"):  # the first to be opened takes the key
            choice = asked if name == "openai" else Choice(name, None, jobs, {})
            opened[name], who = stack.enter_context(open_proposer(choice, archives[name][0]))
            speech.progress.print(f"proposer: {who}", markup=False)
        # repeat by repeat, so that a comparison that is stopped has as much of each
        rounds = ((index, name) for index in range(repeats) for name in names)
        finished = all(
            _run(
                archives[name][index],
                SearchResources(
                    opened[name], sandbox, settings, workers, race=False, log=TrialLog(archives[name][index].unfinished)
                ),
                budget,
                jobs,
                seed + 1_000 * index,
                speech,
            )
            for index, name in rounds
        )
    arms = {name: [Arm.of(archive, settings, budget) for archive in own] for name, own in archives.items()}
    curves = [curve(name, own) for name, own in arms.items()]
    if plot is not None:
        plot_curves(curves, protocol, plot)
    answer(speech, protocol, settings.hash, curves, differences(dict(arms)))
    if not finished:
        speech.progress.print(f"stopped: the same command with --out {out} goes on", markup=False)
    return DONE if finished else INTERRUPTED


def _asked(names: list[str], proposals: int, repeats: int, protocol: str) -> str:
    """What is missing, and what an answer would cost: nobody trains for hours who did not ask for it."""
    count = len(names) * proposals * repeats
    seconds = sum(trial.cpu_seconds for trial in shipped_by_variant(protocol).get(BASELINE, ()))
    cost = f"{count} proposals"
    if seconds:
        cost += f", about {duration(count * seconds)} on one core"
    return (
        f"say whom to compare and how long: `archer compare --proposers {','.join(names)} --n {proposals}` would train "
        f"{cost}; `archer versus A B` compares two variants and trains nothing"
    )


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    if unknown := [name for name in names if name not in PROPOSERS]:
        raise UserError(f"--proposers: {unknown[0]!r} is none of {', '.join(PROPOSERS)}")
    return names


def _run(
    archive: Archive, bench: SearchResources, budget: ProposerBudget, jobs: int, seed: int, speech: Speech
) -> bool:
    """Spend what is left of the budget; false if interrupted. Every proposal is trained in full and none confirmed."""
    made, spent = budget.spent(archive, bench.protocol)
    left = budget.proposals - made
    minutes = None if budget.minutes is None else budget.minutes - spent
    if left < 1 or (minutes is not None and minutes <= 0):
        return True
    plan = SearchPlan(
        n=left,
        jobs=min(jobs, left),
        seed=seed + made,
        confirm=False,
        resume=False,
        max_cpu_seconds=None if minutes is None else 60 * minutes,
    )
    with Progress(speech.progress, left) as progress:
        progress.announce(escape(f"{bench.proposer.name}: {counted(left, 'proposal')} in {archive.root}"))
        search = Search(archive, bench, plan, progress)
        with interruptible(search.stop, progress.announce) as interrupted:
            for record in search.run():
                progress.announce(escape(f"{record.status} {record.proposal.variant.name}"))
    if interrupted.is_set():
        return False
    if search.error is not None:
        raise search.error
    return True
