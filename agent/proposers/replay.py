"""Proposing again what was proposed before: from the recorded reply, with no key and no network."""

from dataclasses import dataclass
from pathlib import Path

from agent.catalogue import Genome, render_variant
from agent.context import Context
from agent.errors import UserError
from agent.llm.build import build_proposal
from agent.llm.exchanges import last_conversation
from agent.llm.naming import same_idea
from agent.llm.reply import BadReply
from agent.llm.templates import Templates
from agent.proposers.base import Ask
from archive.record import Proposal, Record

PARTS = ("parent", "title", "insights", "motivation", "mathematics", "predictions", "differences", "next_steps")


class ReplayProposer:
    """Rebuilds one record's proposal: from its model's reply, or, where no model was asked, from its genome."""

    name = "replay"

    def __init__(self, record: Record) -> None:
        self._record = record

    def ask(self, context: Context | None = None) -> Ask:
        """The proposal, with the record's exchanges. Raises UserError where nothing is recorded to rebuild it from."""
        return Ask(rebuild(self._record), self._record.exchanges, self._record.cost.usd)


@dataclass(frozen=True)
class Comparison:
    """What a replay reproduced and what it did not, a line each."""

    same: tuple[str, ...]
    different: tuple[str, ...]


def rebuild(record: Record) -> Proposal:
    """The proposal from what was recorded of it, by the code and the catalogue of today."""
    known = record.proposal
    found = last_conversation(record.exchanges)
    if found is None:
        return _from_genome(record)
    conversation, exchange = found
    try:
        finish = str(exchange.usage.get("finish_reason", ""))
        proposal = build_proposal(exchange.reply or "", finish, conversation, known.provenance)
    except BadReply as error:
        raise UserError(f"{record.id}: its reply makes no proposal any more: {error}") from None
    if same_idea(known.variant.name, proposal.variant.name):  # the archive numbers a name that is taken
        variant = proposal.variant.model_copy(update={"name": known.variant.name})
        return proposal.model_copy(update={"variant": variant})
    return proposal


def _from_genome(record: Record) -> Proposal:
    known = record.proposal
    if not known.provenance.mechanisms:
        raise UserError(f"{record.id} has neither a recorded reply nor a genome: there is nothing to replay it from")
    rendered = render_variant(Genome.model_validate(known.provenance.mechanisms))
    return known.model_copy(update={"variant": rendered.model_copy(update={"name": known.variant.name})})


def compare(record: Record, rebuilt: Proposal, prompts: Path | None = None) -> Comparison:
    """What is the same and what differs: prompt, file, and each part of the report."""
    known, new = record.proposal, rebuilt
    checks = _prompt_checks(record, prompts)
    checks[f"name {known.variant.name}"] = known.variant.name == new.variant.name or new.variant.name
    checks[f"file {known.variant.name}.py"] = known.variant.source == new.variant.source or "other source"
    checks |= {part.replace("_", " "): getattr(known, part) == getattr(new, part) or "otherwise read" for part in PARTS}
    different = [f"{what}: {found}" for what, found in checks.items() if found is not True]
    return Comparison(tuple(what for what, found in checks.items() if found is True), tuple(different))


def _prompt_checks(record: Record, prompts: Path | None) -> dict[str, bool | str]:
    """True, or how it differs, of the recorded prompt and of the prompt that today's templates make of its facts."""
    found = last_conversation(record.exchanges)
    if found is None:
        return {}
    conversation, _ = found
    again = conversation.render_again(Templates(prompts))
    pairs = zip(conversation.turns, again.turns, strict=True)
    changed = ", ".join(turn.template or turn.role for turn, new in pairs if turn != new)
    sent = conversation.digest == record.proposal.provenance.prompt_hash
    return {
        "prompt": not changed or f"today's templates render {changed} otherwise",
        "prompt hash": sent or "the recorded prompt is not the one that was sent",
    }
