"""`archer check`: all checks of one variant file, no training."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.open_archive import archive_to_compare_with
from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    QuietOption,
    find_protocol,
)
from agent.commands.running_options import SandboxOption, UnsandboxedOption, open_sandbox
from agent.errors import DONE, UserError
from agent.search.find_variant import find_variant, recorded_parent, variant_from_file
from agent.search.fingerprint_index import FingerprintIndex
from agent.terminal.speech import Speech
from agent.terminal.view import allowed_lines, check_lines
from evaluator import fence
from evaluator.checks import check as check_variant
from evaluator.outcomes import Grade
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.trials.evaluate import kernel_shapes
from variants.contract import BASELINE

CheckedProtocolOption = Annotated[
    str, typer.Option("--protocol", help=f"Check at the sizes of this protocol: {', '.join(PROTOCOLS)}.")
]


def check(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A variant file, as my_idea.py.")] = None,
    parent: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Compare with this variant; else with {BASELINE}.")
    ] = None,
    protocol: CheckedProtocolOption = DEFAULT_PROTOCOL,
    minimum: SandboxOption = Grade.B,
    unsandboxed: UnsandboxedOption = False,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    allowed: Annotated[bool, typer.Option("--allowed", help="List what a kernel may use, and check nothing.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="All of the evidence, and whole diffs.")] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check a variant file in the sandbox. Nothing is trained.

    It takes seconds. A check that fails shows its counterexample, and the exit code is 1.

    Example: archer check variants/delta_net_4layer_rope_qk_in_for_loop.py
    """
    speech = Speech(as_json, quiet)
    if allowed:
        return _tell_allowed(speech)
    if file is None:
        raise UserError("name the variant file to check: archer check FILE")
    settings = find_protocol(protocol)
    variant = variant_from_file(file)
    found = archive_to_compare_with(archive_path, speech.progress.print)
    other = find_variant(parent or recorded_parent(variant, found) or BASELINE, found)
    twins = FingerprintIndex(found)
    with open_sandbox(minimum, unsandboxed, speech) as sandbox:
        report = check_variant(
            variant,
            sandbox,
            parent=other,
            shapes=kernel_shapes(settings, variant.layer),
            known=twins.of_others(variant),
        )
    if as_json:
        speech.answer(report.model_dump(mode="json", exclude={"fingerprint"}))
    else:
        speech.out.print("\n".join(check_lines(report, verbose)))
    return int(report.verdict == "fail")


def _tell_allowed(speech: Speech) -> int:
    found = fence.allowed()
    if speech.as_json:
        speech.answer(found)
    else:
        speech.show(*allowed_lines(found))
    return DONE
