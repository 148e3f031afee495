"""Proposing again what was proposed before: from the recorded reply, with no key and no network."""

from collections.abc import Mapping
from types import MappingProxyType

from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import known_genome, render_variant
from agent.errors import UserError
from agent.proposer import Ask
from agent.proposers.llm.exchanges import last_conversation
from agent.proposers.llm.reply.build import build_proposal
from agent.proposers.llm.reply.naming import same_idea
from agent.proposers.llm.reply.read import BadReply
from archive.merging.renaming import renamed_proposal
from archive.records.record import Proposal, Record


class ReplayProposer:
    """Rebuilds one record's proposal: from its model's reply, or, where no model was asked, from its genome."""

    name = "replay"

    def __init__(self, record: Record, renamed: Mapping[str, str] = MappingProxyType({})) -> None:
        """`renamed`: as in `rebuild`."""
        self._record = record
        self._renamed = renamed

    def ask(self, snapshot: ArchiveSnapshot | None = None) -> Ask:
        """The proposal, with the record's exchanges. Raises UserError where nothing is recorded to rebuild it from."""
        return Ask(rebuild(self._record, self._renamed), self._record.exchanges, self._record.cost.usd)


def rebuild(record: Record, renamed: Mapping[str, str] = MappingProxyType({})) -> Proposal:
    """The proposal from what was recorded of it, by the code and the catalogue of today.

    `renamed`: variants that a merge gave other names; the reply has those of before.
    """
    known = record.proposal
    found = last_conversation(record.exchanges)
    if found is None:
        return _from_genome(record)
    conversation, exchange = found
    try:
        finish = str(exchange.usage.get("finish_reason", ""))
        proposal = build_proposal(exchange.reply or "", finish, conversation, known.provenance)
        proposal = renamed_proposal(proposal, renamed)
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
    if (genome := known_genome(known.provenance.mechanisms)) is None:
        raise UserError(
            f"{record.id} is made of mechanisms that this archer's catalogue does not have; replay it with the archer "
            "that made it"
        )
    rendered = render_variant(genome)
    return known.model_copy(update={"variant": rendered.model_copy(update={"name": known.variant.name})})


def is_rebuildable(record: Record) -> bool:
    """Whether there is a reply or a genome to make the proposal from."""
    return last_conversation(record.exchanges) is not None or bool(record.proposal.provenance.mechanisms)
