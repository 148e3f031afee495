"""`archer replay`: an archived proposal made again from what was recorded, with no key and no network."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from agent.errors import DONE, NO
from agent.options import (
    DEFAULT_ARCHIVE,
    ArchiveOption,
    JsonOption,
    QuietOption,
    SandboxOption,
    Speech,
    UnsandboxedOption,
    find_protocol,
    open_sandbox,
)
from agent.proposers.replay import compare, rebuild
from agent.subject import existing_archive
from archive.record import Record
from archive.store import Archive
from evaluator.checks import check
from evaluator.evaluate import Evaluator, kernel_shapes
from evaluator.outcomes import Finding, Grade, Trial
from evaluator.plan import Protocol
from evaluator.sandbox import Sandbox
from evaluator.trial import spec_of
from variants.contract import Variant

Step = tuple[str, str]
"""What was replayed, and "identical" or how it differs."""
SAME = "identical"


def replay(
    reference: Annotated[str, typer.Argument(metavar="ID", help="Number, folder name or variant name.")],
    evaluate: Annotated[bool, typer.Option("--evaluate", help="Train and score again, too.")] = False,
    prompts: Annotated[Path | None, typer.Option(metavar="DIR", help="Templates that override archer's.")] = None,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Make a proposal again from its recorded reply or genome, and check it again. Exit code 1 if anything differs.

    Example: archer replay 1 --evaluate
    """
    speech = Speech(as_json, quiet)
    found = existing_archive(archive)
    record = found.record(reference)
    steps = []
    with open_sandbox(minimum, unsandboxed, speech) as sandbox:
        for step, answer in _steps(found, record, evaluate, prompts, sandbox):
            steps.append((step, answer))
            if not as_json:
                style = "green" if answer == SAME else "yellow"
                speech.out.print(f"{step:28} [{style}]{escape(answer)}[/]")
    if as_json:
        speech.answer({"id": record.number, "steps": [{"step": step, "answer": answer} for step, answer in steps]})
    return DONE if all(answer == SAME for _, answer in steps) else NO


def _steps(archive: Archive, record: Record, evaluate: bool, prompts: Path | None, sandbox: Sandbox) -> Iterator[Step]:
    rebuilt = rebuild(record)
    comparison = compare(record, rebuilt, prompts)
    for what in comparison.same:
        yield what.split(" delta_net")[0], SAME
    for what in comparison.different:
        part, _, how = what.partition(": ")
        yield part.split(" delta_net")[0], f"differs: {how}"
    variant, protocol = rebuilt.variant, find_protocol(record.protocol)
    if protocol.hash != record.protocol_hash:
        yield "protocol", f"differs: {record.protocol} was {record.protocol_hash}, is {protocol.hash}"
    yield from _checks(archive, record, variant, protocol, sandbox)
    if evaluate:
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            yield from _trials(record, variant, Evaluator(protocol, sandbox, executor))


def _checks(archive: Archive, record: Record, variant: Variant, protocol: Protocol, sandbox: Sandbox) -> Iterator[Step]:
    if record.check is None:
        return
    parent = archive.variants().get(record.proposal.parent)
    again = check(variant, sandbox, parent=parent, shapes=kernel_shapes(protocol))
    before, now = _statuses(record.check.findings), _statuses(again.findings)
    for name in before | now:
        was, found = before.get(name, "absent"), now.get(name, "absent")
        yield f"check {name}", SAME if was == found else f"differs: was {was}, is {found}"


def _statuses(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.check: finding.status for finding in findings}


def _trials(record: Record, variant: Variant, evaluator: Evaluator) -> Iterator[Step]:
    """Every trial that was trained, again: equal bits of the weights, equal accuracy, or how they differ."""
    trained = {spec_of(trial): trial for trial in record.trials if trial.inherited_from is None}
    for trial in evaluator.evaluate(variant, tuple(trained)).trials:
        step = f"{trial.task}, seed {trial.seed}"
        yield step, _difference(trained[spec_of(trial)], trial)


def _difference(before: Trial, now: Trial) -> str:
    if before.weights_hash == now.weights_hash and before.accuracy == now.accuracy:
        return SAME
    reasons = [
        f"{key} {old} is {now.versions.get(key)}"
        for key, old in before.versions.items()
        if now.versions.get(key) != old
    ]
    reasons += [f"device {before.device} is {now.device}"] if before.device != now.device else []
    because = f" ({', '.join(reasons)})" if reasons else " (same versions and device: another processor, most likely)"
    return f"differs: accuracy {before.accuracy} is {now.accuracy}{because}"
