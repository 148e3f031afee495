"""`archer protocol`: what a protocol trains, and what that would cost here, before anything starts."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    QuietOption,
    find_protocol,
)
from agent.errors import DONE
from agent.terminal.durations import duration
from agent.terminal.speech import Speech
from agent.terminal.view import fitted
from evaluator.device import best_device
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.protocols.protocol import Protocol
from evaluator.tasks.registry import fed_length
from evaluator.trials.cost import SettingCost, estimate


class Action(StrEnum):
    """What to say of the protocols."""

    LIST = "list"
    SHOW = "show"


def protocol(
    action: Annotated[Action, typer.Argument(metavar="ACTION", help="List all protocols, or show one.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"Show this protocol: {', '.join(PROTOCOLS)}.")
    ] = DEFAULT_PROTOCOL,
    cost: Annotated[bool, typer.Option(help="Time a few steps of the baseline here to estimate the cost.")] = True,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Show what a protocol trains, and what that costs here.

    It lists settings, steps and learning rates, and estimates the CPU time of one variant on this machine.

    Example: archer protocol show mad
    """
    speech = Speech(as_json, quiet)
    if action is Action.LIST:
        _list(speech)
    else:
        _show(speech, find_protocol(name), cost)
    return DONE


def _list(speech: Speech) -> None:
    if speech.as_json:
        speech.answer([_document(protocol) for protocol in PROTOCOLS.values()])
        return
    rows = []
    for protocol in PROTOCOLS.values():
        settings = sum(len(plan.settings) for plan in protocol.tasks.values())
        rows.append((protocol.name, protocol.hash, f"{settings}", f"{_trials(protocol)}", f"{len(protocol.seeds)}"))
    speech.show(fitted(("protocol", "hash", "settings", "trials a variant", "seeds"), rows), pager=False)


def _show(speech: Speech, protocol: Protocol, cost: bool) -> None:
    if cost:
        speech.progress.print("timing a few steps of each task")
    costs = estimate(protocol) if cost else ()
    if speech.as_json:
        speech.answer(_document(protocol) | {"settings": _settings(protocol, costs), **_total(costs)})
    else:
        speech.show(_heading(protocol), _table(protocol, costs), _closing(protocol, costs), pager=False)


def _trials(protocol: Protocol) -> int:
    return len(protocol.seeds) * sum(
        len(plan.settings) * len(plan.lr) * len(plan.weight_decay) for plan in protocol.tasks.values()
    )


def _document(protocol: Protocol) -> dict[str, Any]:
    fields = protocol.model_dump(mode="json", exclude={"tasks"})
    return {"hash": protocol.hash, "trials": _trials(protocol), **fields}


def _settings(protocol: Protocol, costs: tuple[SettingCost, ...]) -> list[dict[str, Any]]:
    seconds = {(cost.task, cost.setting.id): cost.seconds for cost in costs}
    return [
        {
            "id": setting.id,
            **setting.model_dump(mode="json"),
            **plan.model_dump(mode="json", exclude={"settings", "steps", "epochs"}),
            "steps": plan.steps_of(setting),
            "fed": {split: fed_length(setting, split) for split in ("train", "test")},
            "cpu_seconds_a_trial": seconds.get((task, setting.id)),
        }
        for task, plan in protocol.tasks.items()
        for setting in plan.settings
    ]


def _total(costs: tuple[SettingCost, ...]) -> dict[str, float | None]:
    return {"cpu_seconds_a_variant": sum(cost.trials * cost.seconds for cost in costs) if costs else None}


def _heading(protocol: Protocol) -> str:
    held = (
        f", best of epochs on {protocol.held_examples} held-out examples "
        f"(a run ends at accuracy {protocol.stop_at_accuracy} there)"
        if protocol.held_examples
        else ""
    )
    precision = f"{protocol.precision} on CUDA" if protocol.precision == "bfloat16" else protocol.precision
    return (
        f"{protocol.name} ({protocol.hash}): width {protocol.width}, {protocol.heads} head(s), "
        f"{2 * protocol.blocks} layers, {protocol.schedule} rate, {precision}, "
        f"seeds {', '.join(map(str, protocol.seeds))}{held}"
    )


def _table(protocol: Protocol, costs: tuple[SettingCost, ...]) -> RenderableType:
    columns = (
        "task",
        "setting",
        "tokens fed",
        "chunk",
        "steps",
        "batch",
        "learning rates",
        "weight decays",
        "CPU time a trial",
    )
    rows = [
        (
            row["task"],
            row["id"],
            _fed(**row["fed"]),
            f"{row['chunk_size']}",
            f"{row['steps']:,}",
            f"{row['batch']}",
            " ".join(f"{lr:g}" for lr in row["lr"]),
            " ".join(f"{decay:g}" for decay in row["weight_decay"]),
            "" if row["cpu_seconds_a_trial"] is None else duration(row["cpu_seconds_a_trial"]),
        )
        for row in _settings(protocol, costs)
    ]
    return fitted(columns, rows)


def _fed(train: int, test: int) -> str:
    return f"{train}" if train == test else f"{train}, test {test}"


def _closing(protocol: Protocol, costs: tuple[SettingCost, ...]) -> str:
    if not costs:
        return f"{_trials(protocol)} trials a variant"
    total = sum(cost.trials * cost.seconds for cost in costs)
    return (
        f"{_trials(protocol)} trials a variant: about {duration(total)} on one CPU thread of this machine if none ends "
        f"early (timed on the baseline; variants differ). Trials would run on: {best_device()}."
    )
