"""Steps that need no sandbox: the prompt from its facts, the proposal from the reply, the file from either."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.proposers.llm.exchanges import last_conversation, templates_of
from agent.proposers.llm.prompt.conversation import Conversation
from agent.proposers.llm.prompt.templates import Templates
from agent.proposers.replay import is_rebuildable, rebuild
from agent.replaying.original import Original
from agent.replaying.steps import ReplayStep
from archive.records.record import Record

PARTS = ("parent", "title", "insights", "motivation", "mathematics", "predictions", "differences", "next_steps")


def rebuilt_steps(original: Original, prompts: Path | None = None) -> Iterator[ReplayStep]:
    """Prompt, reply and file. Raises EndpointError for templates that cannot be used."""
    if original.record is not None:
        yield from _prompt(original.record, prompts)
        yield from _reply(original.record, original.renamed)
    yield _file(original)


def _prompt(record: Record, prompts: Path | None) -> Iterator[ReplayStep]:
    """The prompt from its facts, by the templates that it was made with; where they have changed, the record alone."""
    found = last_conversation(record.exchanges)
    if found is None:
        return
    conversation, _ = found
    templates = Templates(prompts)
    others = _changed_templates(record, templates)
    if prompts is not None or not others:
        yield _rendered_again(conversation, templates, others)
    sent = conversation.digest == record.proposal.provenance.prompt_hash
    detail = "" if sent else "the recorded prompt is not the one whose hash was noted when it was sent"
    if sent and others and prompts is None:
        detail = f"made by templates that have changed since, and not rendered again: {', '.join(others)}"
    yield ReplayStep("prompt", "hash of what was sent", "identical" if sent else "differs", detail)


def _rendered_again(conversation: Conversation, templates: Templates, others: Mapping[str, str]) -> ReplayStep:
    again = conversation.render_again(templates)
    turns = zip(conversation.turns, again.turns, strict=True)
    changed = list(dict.fromkeys(turn.template or turn.role for turn, new in turns if turn != new))
    what = f"{len(conversation.turns)} turns rendered again"
    if not changed:
        return ReplayStep("prompt", what, "identical")
    reasons = tuple(f"template {name} {how}" for name, how in others.items())
    edited = ("the templates are the recorded ones: the facts of the exchange were edited",)
    return ReplayStep("prompt", what, "differs", f"{', '.join(changed)} renders other text", reasons or edited)


def _changed_templates(record: Record, templates: Templates) -> dict[str, str]:
    """By name, how the digest of a template is another than when the prompt was sent."""
    then = templates_of(record.exchanges[0])
    now = templates.digests()
    changed = [name for name in sorted(now.keys() | then.keys()) if now.get(name) != then.get(name)]
    return {name: f"was {then.get(name, 'absent')}, is {now.get(name, 'absent')}" for name in changed}


def _reply(record: Record, renamed: Mapping[str, str]) -> Iterator[ReplayStep]:
    """Whether today's reading of the reply gives every part of the report."""
    found = last_conversation(record.exchanges)
    if found is None or not is_rebuildable(record):
        return
    known, new = record.proposal, rebuild(record, renamed)
    other = [part.replace("_", " ") for part in PARTS if getattr(known, part) != getattr(new, part)]
    if known.variant.name != new.variant.name:
        other.append(f"name ({new.variant.name})")
    what = f"reply {found[1].attempt} of {len(record.exchanges)}, read again"
    reason = ("archer reads or words it otherwise than when it was archived, or the record was edited",)
    yield (
        ReplayStep("reply", what, "differs", f"{', '.join(other)} read otherwise", reason)
        if other
        else ReplayStep("reply", what, "identical")
    )


def _file(original: Original) -> ReplayStep:
    what = f"{original.rebuilt.name}.py from {original.origin}"
    if original.recorded.source == original.rebuilt.source:
        return ReplayStep("file", what, "identical")
    lines = difflib.unified_diff(
        original.recorded.source.splitlines(), original.rebuilt.source.splitlines(), n=0, lineterm=""
    )
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    detail = f"{len(changed)} lines, the first {changed[0][:100]!r}" if changed else "white space at the end"
    return ReplayStep("file", what, "differs", detail, (_why_other_file(original),))


def _why_other_file(original: Original) -> str:
    if original.record is None:
        return "the archive's seed is that of another version of archer"
    if original.record.proposal.provenance.mechanisms:
        return "the catalogue renders these mechanisms otherwise than when it was archived"
    return "the recorded reply and the archived file are not of one another"
