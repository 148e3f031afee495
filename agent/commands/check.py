"""`archer check`: all checks of one variant file, no training."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    ProtocolOption,
    QuietOption,
    SandboxOption,
    UnsandboxedOption,
    find_protocol,
    open_sandbox,
)
from agent.search.find_variant import archive_if_any, find_variant, recorded_parent, variant_from_file
from agent.search.fingerprint_index import FingerprintIndex
from agent.terminal.speech import Speech
from agent.terminal.view import check_lines
from evaluator.checks import check as check_variant
from evaluator.outcomes import Grade
from evaluator.trials.evaluate import kernel_shapes
from variants.contract import BASELINE


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A variant file, as my_idea.py.")],
    parent: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Compare with this variant; else with {BASELINE}.")
    ] = None,
    protocol: ProtocolOption = DEFAULT_PROTOCOL,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check a variant file in the sandbox. Nothing is trained.

    It takes seconds. A check that fails shows its counterexample, and the exit code is 1.

    Example: archer check variants/delta_net_4layer_rope_qk_in_for_loop.py
    """
    speech, settings = Speech(as_json, quiet), find_protocol(protocol)
    variant = variant_from_file(file)
    found = archive_if_any(archive)
    other = find_variant(parent or recorded_parent(variant, found) or BASELINE, found)
    twins = FingerprintIndex(found)
    with open_sandbox(minimum, unsandboxed, speech) as sandbox:
        report = check_variant(
            variant,
            sandbox,
            parent=other,
            shapes=kernel_shapes(settings),
            known=twins.of_others(variant),
        )
    if as_json:
        speech.answer(report.model_dump(mode="json", exclude={"fingerprint"}))
    else:
        speech.out.print("\n".join(check_lines(report)))
    return int(report.verdict == "fail")
