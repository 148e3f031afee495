"""`archer compare`: which proposer is worth its cost?"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from agent.attempt import Workbench
from agent.choose import Choice, open_proposer
from agent.compare import Arm, Budget, Curve, Point, curve, differences
from agent.compare_plot import plot_curves
from agent.errors import DONE, INTERRUPTED, UserError
from agent.interrupt import interruptible
from agent.loop import Plan, Search
from agent.options import (
    DEFAULT_PROTOCOL,
    JsonOption,
    ProtocolOption,
    QuietOption,
    SandboxOption,
    Speech,
    UnsandboxedOption,
    find_protocol,
    open_sandbox,
)
from agent.progress import Progress
from agent.proposers.base import Proposer
from archive.seeding import make_archive
from archive.store import Archive
from evaluator.outcomes import Grade

PROPOSERS = ("evolve", "random", "openai")


def compare(
    proposers: Annotated[str, typer.Option(metavar="NAME,NAME", help=f"Of {', '.join(PROPOSERS)}.")] = "evolve,random",
    proposals: Annotated[int, typer.Option("--budget-proposals", min=1, help="Each, in each repeat.")] = 10,
    minutes: Annotated[
        float | None, typer.Option("--budget-minutes", min=0, help="CPU-minutes each, likewise.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Archives for each proposer.")] = 1,
    protocol: ProtocolOption = DEFAULT_PROTOCOL,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the archives are; named again, it goes on.")] = Path(
        "archer-compare"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of the first repeat.")] = 0,
    model: Annotated[str | None, typer.Option(help="Model to ask; else the only one there is.")] = None,
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible endpoint, as http://host/v1.")] = None,
    max_usd: Annotated[float | None, typer.Option(min=0, help="Hard limit on what the model may cost.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the curves: .png, .svg, .pdf.")] = None,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Set proposers against each other at equal budget; print and draw how good their best was when.

    Example: archer compare --proposers evolve,random --budget-proposals 20 --repeats 3 --out duel
    """
    speech, settings = Speech(as_json, quiet), find_protocol(protocol)
    names = _names(proposers)
    budget = Budget(proposals, minutes)
    archives = {name: [_archive(out / f"{name}-{index}") for index in range(1, repeats + 1)] for name in names}
    llm: dict[str, object] = {"model": model, "base_url": base_url, "max_usd": max_usd}
    with (
        ExitStack() as stack,
        open_sandbox(minimum, unsandboxed, speech) as sandbox,
        ThreadPoolExecutor(os.cpu_count()) as trials,
    ):
        opened: dict[str, Proposer] = {}
        for name in sorted(names, key=lambda name: name != "openai"):  # the first to be opened takes the key
            choice = Choice(name, None, 1, llm if name == "openai" else {})
            opened[name], _ = stack.enter_context(open_proposer(choice, archives[name][0]))
        # repeat by repeat, so that a comparison that is stopped has as much of each
        for index in range(repeats):
            for name in names:
                bench = Workbench(opened[name], sandbox, settings, trials, race=False)
                if not _run(archives[name][index], bench, budget, seed + 1_000 * index, speech):
                    return INTERRUPTED
    arms = {name: [Arm.of(archive, settings, budget) for archive in own] for name, own in archives.items()}
    curves = [curve(name, own) for name, own in arms.items()]
    if plot is not None:
        plot_curves(curves, protocol, plot)
    _answer(speech, protocol, settings.hash, curves, differences(dict(arms)))
    return DONE


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    if unknown := [name for name in names if name not in PROPOSERS]:
        raise UserError(f"--proposers: {unknown[0]!r} is none of {', '.join(PROPOSERS)}")
    return names


def _archive(root: Path) -> Archive:
    return Archive(root) if root.exists() else make_archive(root)


def _run(archive: Archive, bench: Workbench, budget: Budget, seed: int, speech: Speech) -> bool:
    """Spend what is left of the budget; false if interrupted. Every proposal is trained in full and none confirmed."""
    made, spent = budget.spent(archive.records())
    left = budget.proposals - made
    minutes = None if budget.minutes is None else budget.minutes - spent
    if left < 1 or (minutes is not None and minutes <= 0):
        return True
    plan = Plan(
        n=left, jobs=1, seed=seed + made, confirm=False, max_cpu_seconds=None if minutes is None else 60 * minutes
    )
    with Progress(speech.progress, left) as progress:
        progress.announce(escape(f"{bench.proposer.name}: {left} proposals in {archive.root}"))
        search = Search(archive, bench, plan, progress)
        with interruptible(search.stop, progress.announce) as interrupted:
            for record in search.run():
                progress.announce(escape(f"{record.status} {record.proposal.variant.name}"))
    if search.error is not None:
        raise search.error
    return not interrupted.is_set()


def _answer(
    speech: Speech, protocol: str, digest: str, curves: Sequence[Curve], against: Sequence[Mapping[str, Any]]
) -> None:
    if speech.as_json:
        document = {"protocol": {"name": protocol, "hash": digest}, "differences": list(against)}
        speech.answer(document | {"curves": [each.model_dump(mode="json") for each in curves]})
        return
    table = Table(
        "proposer", "repeats", "proposals", "scored", "CPU min", "best, mean of six", "interval over", box=None,
        title=f"{protocol}: best proposal within the budget", title_justify="left",
    )  # fmt: skip
    for each in curves:
        best = _told(each.by_proposal[-1]) if each.by_proposal else "–"
        counts = (str(each.repeats), str(each.proposals), str(each.scored), f"{each.cpu_minutes:.1f}")
        table.add_row(each.proposer, *counts, best, each.interval)
    speech.out.print(table)
    for row in against:
        if row["difference"] is not None:
            interval = f" [{row['low']:+.3f}, {row['high']:+.3f}]" if row["low"] is not None else ", no interval"
            speech.out.print(
                f"{row['proposer']} less {row['against']}: {row['difference']:+.3f}{interval}, n {row['n']}",
                markup=False,
            )
    if protocol == "smoke":
        speech.out.print("smoke shows that it works; its scores say nothing of who proposes better")


def _told(point: Point) -> str:
    return f"{point.mean:.3f}" + (f" [{point.low:.3f}, {point.high:.3f}]" if point.low is not None else "")
