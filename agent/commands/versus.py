"""`archer versus`: two variants side by side."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from agent.analysis.differences.versus import Versus
from agent.analysis.differences.versus import versus as compare_two
from agent.commands.options import DEFAULT_ARCHIVE, DEFAULT_PROTOCOL, ArchiveOption, JsonOption, QuietOption
from agent.commands.options import find_protocol as protocol_named
from agent.errors import UserError
from agent.search.find_variant import archive_if_any, named_variant, recorded_parent
from agent.terminal.speech import Speech
from agent.terminal.versus import versus_view
from agent.terminal.view import scores_json
from archive.seeding import shipped_by_variant, shipped_controls
from archive.store import Archive
from evaluator.outcomes import Trial
from evaluator.protocols.built_in import PROTOCOLS
from variants.contract import BASELINE
from variants.controls import controls


def versus(
    variant: Annotated[str, typer.Argument(metavar="VARIANT", help="A number, a name or a short name.")],
    other: Annotated[
        str | None,
        typer.Argument(metavar="[OTHER]", help="Compare with this variant or control; else with the parent."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help=f"Compare scores of this protocol: {', '.join(PROTOCOLS)}; else of the proposal's."),
    ] = None,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare the scores of a variant with its parent, or with another variant. Nothing is trained.

    It shows both scores, the difference paired by seed, and the verdict for each task. `archer diff` compares the code.
    Against a control (control_own_value, control_zero), which reads no memory, it shows what lies above the floor.

    Example: archer versus 1 gated_delta_net_4layer
    """
    speech = Speech(as_json, quiet)
    archive = archive_if_any(archive_path)
    ours = named_variant(variant, archive)
    settings = protocol_named(protocol or _own_protocol(ours.name, archive))
    trials: dict[str, Sequence[Trial]] = dict(
        archive.trials(settings.name) if archive else shipped_by_variant(settings.name)
    )
    if other in controls():
        theirs = controls()[other]
        trials |= shipped_controls(settings.name)
    else:
        theirs = named_variant(other or recorded_parent(ours, archive) or BASELINE, archive)
    for name in (ours.name, theirs.name):
        if name not in trials:
            mend = "" if name in controls() else f"; `archer evaluate {name} --add` measures it"
            raise UserError(f"{name} has no score under {settings.name}{mend}")
    result = compare_two(ours.name, theirs.name, settings.name, trials)
    if as_json:
        speech.answer(_json(result) | {"protocol": {"name": settings.name, "hash": settings.hash}})
    else:
        speech.show(*versus_view(result, settings.name), pager=False)


def _own_protocol(name: str, archive: Archive | None) -> str:
    identity = archive.identity(name) if archive is not None else None
    return DEFAULT_PROTOCOL if archive is None or identity is None else archive.record(identity).protocol


def _json(result: Versus) -> dict[str, Any]:
    low, high = result.mean.interval() if result.mean else (None, None)
    mean = {"difference": result.mean.mean, "low": low, "high": high, "n": result.mean.n} if result.mean else None
    return {
        "name": result.name,
        "against": result.against,
        "scores": scores_json(result.ours),
        "against_scores": scores_json(result.theirs),
        "means": result.means,
        "verdict": result.verdict.model_dump(mode="json"),
        "mean_difference": mean,
    }
