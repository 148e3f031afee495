"""From a reply to a proposal: the one path for live replies, repairs and replays."""

from agent.catalogue import Genome, known_genome, render_variant
from agent.catalogue.render import formulas, title
from agent.proposers.llm.prompt.conversation import Conversation
from agent.proposers.llm.reply.naming import variant_name
from agent.proposers.llm.reply.read import NO_PARENT, BadReply, CodeReply, read_reply
from agent.proposers.llm.reply.structured import StructuredReply
from archive.records.record import Note, Proposal, Provenance
from variants.contract import Variant


def build_proposal(text: str, finish: str, conversation: Conversation, provenance: Provenance) -> Proposal:
    """Read the reply and assemble its proposal, from what is recorded alone. Raises BadReply with what to change."""
    origin = {"prompt_hash": conversation.digest, "parents": conversation.facts.parents}
    provenance = provenance.model_copy(update=origin)
    tasks = conversation.facts.tasks
    if conversation.form == "structured":
        return _structured(read_reply(text, finish, StructuredReply, tasks), conversation, provenance)
    return _code(read_reply(text, finish, CodeReply, tasks), conversation, provenance)


def _code(reply: CodeReply, conversation: Conversation, provenance: Provenance) -> Proposal:
    parents = conversation.facts.parents
    if reply.parent not in parents:
        raise BadReply(f"parent: {reply.parent[:80]!r} is none of {', '.join(parents)}")
    second = None if reply.second_parent in (None, "", NO_PARENT, reply.parent) else reply.second_parent
    if second is not None and second not in parents:
        raise BadReply(f"second_parent: {second[:80]!r} is none of {', '.join(parents)}, {NO_PARENT}")
    parent, second = _nearer_first(reply.parent, second, conversation.facts.nearest_first)
    layer = Variant(name="unnamed", source=reply.code).layer
    return Proposal(
        variant=Variant(name=variant_name(reply.name, layer), source=reply.code),
        parent=parent,
        title=reply.title,
        insights=reply.insights,
        motivation=reply.motivation,
        mathematics=reply.mathematics,
        predictions={task: found.prediction() for task, found in reply.predictions.items()},
        differences=reply.differences,
        next_steps=reply.next_steps,
        provenance=provenance,
        second_parent=second,
        notebook=tuple(Note(claim=note.claim, links=note.links) for note in reply.notebook),
    )


def _nearer_first(parent: str, second: str | None, nearest_first: tuple[str, ...]) -> tuple[str, str | None]:
    """The two, the nearer to the challenge as the parent: else a weak one that is named first would spare the race."""
    if second is None or not {parent, second} <= {*nearest_first}:
        return parent, second
    nearer, farther = sorted((parent, second), key=nearest_first.index)
    return nearer, farther


def _structured(reply: StructuredReply, conversation: Conversation, provenance: Provenance) -> Proposal:
    parent = conversation.facts.parent
    known = known_genome(parent.genome or {})
    if known is None and parent.genome:
        raise BadReply(f"{parent.name} is made of mechanisms that this archer's catalogue does not have")
    genome = reply.genome(known or Genome())
    return Proposal(
        variant=render_variant(genome),
        parent=parent.name,
        title=title(genome),
        insights=reply.insights,
        motivation=reply.motivation,
        mathematics="\n".join(formulas(genome)),
        predictions={task: found.prediction() for task, found in reply.predictions.items()},
        differences=reply.differences,
        next_steps=reply.next_steps,
        provenance=provenance.model_copy(update={"mechanisms": genome.to_json()}),
    )
