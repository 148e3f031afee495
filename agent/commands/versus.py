"""`archer versus`: two variants side by side."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from agent.analysis.boards.rungs import LADDER
from agent.analysis.differences.versus import Versus
from agent.analysis.differences.versus import versus as compare_two
from agent.commands.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    QuietOption,
    archive_or_shipped,
)
from agent.commands.options import find_protocol as protocol_named
from agent.errors import UserError
from agent.search.find_variant import named_variant, recorded_parent, require_two
from agent.terminal.speech import Speech
from agent.terminal.versus import versus_view
from agent.terminal.view import scores_json
from agent.words import listed
from archive.seeding import shipped_by_variant, shipped_outside
from archive.store import Archive
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import PROTOCOLS
from variants.contract import BASELINE
from variants.outside_archives import outside_archives


def versus(
    variant: Annotated[str, typer.Argument(metavar="VARIANT", help="A number, a name or a short name.")],
    other: Annotated[
        str | None,
        typer.Argument(metavar="[OTHER]", help="Compare with this variant or control; else with the parent."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help=f"Compare scores of this protocol: {', '.join(PROTOCOLS)}; else the largest with both."),
    ] = None,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare the scores of a variant with its parent, or with another variant. Nothing is trained.

    It shows both scores, the difference paired by seed, and the verdict for each task. `archer diff` compares the code.
    Against a control (control_own_value, control_zero), which reads no memory, it shows what lies above the floor.
    gated_delta_net_4layer_wide is the reference's kernel in the large mixer that the published reference probably had,
    gated_delta_net_4layer_drawn_decay the same in a mixer of the baseline's size whose decay starts as that one's.

    Example: archer versus 1 gated_delta_net_4layer
    """
    speech = Speech(as_json, quiet)
    archive = archive_or_shipped(archive_path, speech)
    ours = named_variant(variant, archive)
    rival = other or recorded_parent(ours, archive) or BASELINE
    theirs = outside_archives().get(rival) or named_variant(rival, archive)
    require_two(ours.name, theirs.name, other)
    settings = protocol_named(protocol or _highest_protocol(ours.name, theirs.name, archive))
    trials = _trials(settings.name, theirs.name, archive)
    for name in (ours.name, theirs.name):
        if name not in trials:
            raise UserError(f"{name} has no score under {settings.name}{_way_to_a_score(name, settings.name, archive)}")
    result = compare_two(ours.name, theirs.name, settings.name, trials)
    if as_json:
        speech.answer(_json(result) | {"protocol": {"name": settings.name, "hash": settings.hash}})
    else:
        speech.show(*versus_view(result, settings.name), pager=False)


def _trials(protocol: str, against: str, archive: Archive | None) -> dict[str, Sequence[Trial]]:
    """Trials of everyone under a protocol, and of what is compared with, if that is in no archive."""
    trials = dict[str, Sequence[Trial]](archive.trials(protocol) if archive else shipped_by_variant(protocol))
    if against in outside_archives() and (own := shipped_outside(protocol).get(against)) is not None:
        trials[against] = own
    return trials


def _highest_protocol(name: str, other: str, archive: Archive | None) -> str:
    """The largest protocol of the ladder under which both have scores; else that of the proposal."""
    both = [each for each in LADDER if {name, other} <= _trials(each, other, archive).keys()]
    identity = archive.identity(name) if archive is not None else None
    if archive is None or identity is None:
        return (both or [DEFAULT_PROTOCOL])[-1]
    return both[-1] if both else archive.record(identity).protocol


def _way_to_a_score(name: str, protocol: str, archive: Archive | None) -> str:
    """What to type instead: a protocol that has scores, what measures this variant, a proposal that has scores."""
    if name in outside_archives():
        measured = [each for each in PROTOCOLS if name in shipped_outside(each)]
        return f"; it has some under {listed(measured)} (--protocol)" if measured else ": nobody has trained it yet"
    lines = [line for line in archive.lines() if line.protocol == protocol] if archive is not None else []
    scored = [line.number for line in lines if line.status is Status.SCORED]
    without = {line.name: line.status for line in lines if line.status is not Status.SCORED}
    because = f": it is {without[name]}" if name in without else ""
    instead = f"; proposal {scored[-1]} has scores: `archer versus {scored[-1]}`" if scored else ""
    if without.get(name) is Status.REJECTED:
        return f"{because}, and what a check rejects is never trained (`archer show {name}`){instead}"
    option = "" if protocol == DEFAULT_PROTOCOL else f" --protocol {protocol}"
    return f"{because}; `archer evaluate {name}{option} --add` measures it{instead}"


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
