"""The language-model proposer: select parents, render the prompt, complete, parse; and again with what was wrong."""

import time

from agent.catalogue import Genome
from agent.context import Context
from agent.llm.build import build_proposal
from agent.llm.claims import Claims
from agent.llm.conversation import Conversation
from agent.llm.cuts import fit
from agent.llm.endpoint import Attempt, Endpoint, Request
from agent.llm.errors import ContextOverflowError, EndpointError
from agent.llm.exchanges import Log, last_conversation, usd_of
from agent.llm.gather import FOCUSES, gather
from agent.llm.parents import select_parents
from agent.llm.reply import BadReply, code_schema
from agent.llm.settings import LLMSettings, form_for
from agent.llm.structured import structured_schema
from agent.llm.templates import INVALID, REPAIR, Templates
from agent.proposers.base import Ask, AskFailed
from archive.record import Proposal, Provenance

CORRECTIONS = {"code": 1, "structured": 3}
"""Replies beyond the first that one ask may take to be usable; small models repeat what exists more often."""
LONGEST_QUOTE = 400
SHRINK, SHRINKS = 0.7, 2
"""How much of its budget a prompt keeps when the endpoint finds it too long all the same, and how often."""


class OpenAIProposer:
    """Asks any OpenAI-compatible endpoint. Thread-safe: asks under way at once are pointed at different places."""

    name = "openai"

    def __init__(self, settings: LLMSettings) -> None:
        """Raises EndpointError for settings that cannot work."""
        self._settings = settings
        self._templates = Templates(settings.prompts)
        self._endpoint = Endpoint(settings)
        self._form = form_for(settings, self._endpoint.model)
        self._claims = Claims(FOCUSES)

    @property
    def model(self) -> str:
        """Name of the model that is asked."""
        return self._endpoint.model

    def ask(self, context: Context) -> Ask:
        """One proposal. Raises AskFailed where no reply was usable, EndpointError where there is none to be had."""
        deadline = time.monotonic() + self._settings.deadline_seconds
        parents = select_parents(context, structured=self._form == "structured")
        busy = self._claims.titles(record.proposal.variant.name for record in context.history)
        facts = gather(context, self._form, self.model, parents, self._claims.focus(context.seed), busy)
        log, budget = self._log(), self._settings.context_tokens
        for shrinks in range(SHRINKS + 1):
            fitted = fit(facts, budget, lambda facts: Conversation.begin(facts, self._templates).text)
            try:
                return self._converse(context, Conversation.begin(fitted, self._templates), log, deadline)
            except ContextOverflowError:
                if shrinks == SHRINKS:
                    raise
                budget = int(budget * SHRINK)
        raise AssertionError("unreachable")

    def repair(self, context: Context, ask: Ask, problem: str) -> Ask:
        """The proposal again, mended or replaced; the exchanges are those of the repair only. Raises as `ask` does."""
        deadline = time.monotonic() + self._settings.deadline_seconds
        found = last_conversation(ask.exchanges)
        if found is None:
            raise AskFailed(f"{ask.proposal.variant.name} has no recorded reply to repair")
        conversation, last = found
        spoken = conversation.answered(last.reply or "", self._templates, REPAIR, problem=problem)
        return self._converse(context, spoken, self._log(), deadline)

    def cancel(self) -> None:
        """End all asks under way, from any thread; they raise EndpointError."""
        self._endpoint.cancel()

    def _log(self) -> Log:
        return Log(self._endpoint.scrubber, self._settings.public_url, self._templates.digests())

    def _converse(self, context: Context, conversation: Conversation, log: Log, deadline: float) -> Ask:
        """Complete and parse, with corrections, until a proposal comes of it."""
        problem = ""
        for turn in range(CORRECTIONS[self._form] + 1):
            try:
                request = self._request(conversation, context.seed + turn)
                current = conversation
                reply = self._endpoint.complete(request, deadline, lambda attempt: log.add(current, attempt))  # noqa: B023
            except EndpointError as error:
                error.exchanges = log.exchanges
                raise
            try:
                proposal = self._proposal(context, conversation, reply)
            except BadReply as bad:
                problem = str(bad)
                log.reject(problem)
                said = _quoted(reply)
                conversation = conversation.answered(said, self._templates, INVALID, problem=problem)
                continue
            return Ask(proposal, log.exchanges, usd_of(log.exchanges))
        raise AskFailed(f"{self.model} gave no usable reply: {problem}", log.exchanges)

    def _request(self, conversation: Conversation, seed: int) -> Request:
        facts = conversation.facts
        structured = conversation.form == "structured"
        schema = structured_schema(facts.mechanisms) if structured else code_schema(facts.parents)
        return Request(conversation.messages, schema, seed)

    def _proposal(self, context: Context, conversation: Conversation, reply: Attempt) -> Proposal:
        """The reply as a proposal that nobody made before. Raises BadReply."""
        if reply.refusal and not reply.text:
            raise BadReply(f"the model refuses: {' '.join(reply.refusal.split())[:200]}")
        provenance = Provenance(proposer=self.name, seed=context.seed, model=self.model)
        proposal = build_proposal(reply.text or "", reply.finish, conversation, provenance)
        twin = self._twin(context, proposal) or self._claims.claim(proposal, context.variants.values())
        if twin is not None:
            raise BadReply(f"this computes the same as {twin}, which is known: choose another mechanism")
        return proposal

    def _twin(self, context: Context, proposal: Proposal) -> str | None:
        """A known variant with the same mechanisms, where the proposal is made of any."""
        if not proposal.provenance.mechanisms:
            return None
        canonical = Genome.model_validate(proposal.provenance.mechanisms).canonical
        return next((name for name, genome in context.genomes.items() if genome.canonical == canonical), None)


def _quoted(reply: Attempt) -> str:
    """What a correction shows the model of its reply: all, but only the beginning of one that ran on without end."""
    text = reply.text or "(nothing)"
    return f"{text[:LONGEST_QUOTE]} ..." if reply.finish == "length" else text
