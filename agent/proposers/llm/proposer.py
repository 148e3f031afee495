"""The language-model proposer: select parents, render the prompt, complete, parse; and again with what was wrong."""

import time
from dataclasses import dataclass

from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue import Genome
from agent.proposer import Ask, AskFailed
from agent.proposers.llm.bookkeeping.spending import SpendingLimit
from agent.proposers.llm.configuration.settings import LLMSettings, form_for
from agent.proposers.llm.deduplication import Claims, identity
from agent.proposers.llm.endpoint.client import Endpoint, HttpAttempt, Request
from agent.proposers.llm.errors import ContextOverflowError, EndpointError, PromptTooLongError
from agent.proposers.llm.exchanges import Log, last_conversation, usd_of
from agent.proposers.llm.prompt.content.focus import focus_of
from agent.proposers.llm.prompt.content.parents import select_parents
from agent.proposers.llm.prompt.conversation import Conversation
from agent.proposers.llm.prompt.gather import gather
from agent.proposers.llm.prompt.prompt_budget import fit
from agent.proposers.llm.prompt.templates import FIRST_TURNS, INVALID, REPAIR, Templates
from agent.proposers.llm.reply.build import build_proposal
from agent.proposers.llm.reply.read import BadReply, code_schema
from agent.proposers.llm.reply.structured import structured_schema
from archive.records.record import Proposal, Provenance
from evaluator.outcomes import Status

CORRECTIONS = {"code": 1, "structured": 3}
"""Replies beyond the first that one ask may take to be usable; small models repeat what exists more often."""
LONGEST_QUOTE = 400
LONGER = "serve the model with a longer context, or use --form structured, whose prompt is shorter"


@dataclass(frozen=True)
class Patience:
    """How long one ask may take, on `time.monotonic`; `busy`: seconds to wait for a busy endpoint, None: until then."""

    deadline: float
    busy: float | None = None


@dataclass(frozen=True)
class Rejected:
    """The code of a proposal that is to be mended, by its identity, and what was wrong with it."""

    code: str
    problem: str


class OpenAIProposer:
    """Asks any OpenAI-compatible endpoint. Thread-safe: asks under way at once are pointed at different places."""

    name = "openai"

    def __init__(
        self, settings: LLMSettings, claims: Claims | None = None, budget: SpendingLimit | None = None
    ) -> None:
        """`claims`, `budget`: of the run, where several models share them. Raises EndpointError for bad settings."""
        self._settings = settings
        self._templates = Templates(settings.prompts)
        self._endpoint = Endpoint(settings, budget)
        self._form = form_for(settings, self._endpoint.model)
        self._claims = claims or Claims()

    @property
    def model(self) -> str:
        """Name of the model that is asked."""
        return self._endpoint.model

    @property
    def endpoint(self) -> Endpoint:
        """What the model is asked through."""
        return self._endpoint

    def ask(self, snapshot: ArchiveSnapshot, patience: float | None = None) -> Ask:
        """One proposal. `patience`: seconds to wait for a busy endpoint; None: until the deadline.

        Raises AskFailed where no reply was usable, EndpointError where there is none to be had.
        """
        deadline = time.monotonic() + self._settings.deadline_seconds
        self._endpoint.read_card()
        focus = focus_of(snapshot, self._form, self._claims.share)
        busy = self._claims.titles(line.name for line in snapshot.lines)
        parents = select_parents(snapshot, self._form, focus)
        facts = gather(snapshot, self._form, self.model, parents, focus, busy)
        conversation = self._fitted(Conversation.begin(facts, self._templates))
        return self._converse(snapshot, conversation, self._log(), Patience(deadline, patience))

    def repair(self, snapshot: ArchiveSnapshot, ask: Ask, problem: str) -> Ask:
        """The proposal again, mended or replaced; the exchanges are those of the repair only. Raises as `ask` does."""
        deadline = time.monotonic() + self._settings.deadline_seconds
        found = last_conversation(ask.exchanges)
        if found is None:
            raise AskFailed(f"{ask.proposal.variant.name} has no recorded reply to repair")
        conversation, last = found
        log = self._log()
        spoken = self._answered(conversation, last.reply or "", REPAIR, problem, log)
        rejected = Rejected(identity(ask.proposal.variant.source), problem)
        return self._converse(snapshot, spoken, log, Patience(deadline), rejected)

    def cancel(self) -> None:
        """End all asks under way, from any thread; they raise EndpointError."""
        self._endpoint.cancel()

    def _log(self) -> Log:
        return Log(self._endpoint.scrubber, self._settings.public_url, self._templates.digests())

    def _fitted(self, conversation: Conversation) -> Conversation:
        """The conversation with as many of its facts as fit. Raises PromptTooLongError.

        The shortest prompt may take more of the window than a prompt should, as long as it leaves room for a reply.
        """
        limits = self._endpoint.limits
        try:
            return self._within(conversation, limits.prompt_budget)
        except PromptTooLongError as error:
            if limits.fits(error.needed):
                return self._within(conversation, error.needed)
            if limits.window is None:
                raise
            raise PromptTooLongError(
                f"{self.model} takes {limits.window} tokens, prompt and reply together, and the shortest prompt needs "
                f"about {error.needed}: {LONGER}",
                error.needed,
            ) from None

    def _within(self, conversation: Conversation, budget: int) -> Conversation:
        facts = fit(conversation.facts, budget, lambda facts: conversation.refitted(facts, self._templates).text)
        return conversation.refitted(facts, self._templates)

    def _answered(self, conversation: Conversation, said: str, template: str, problem: str, log: Log) -> Conversation:
        """The conversation with what was wrong with a reply, within the budget. Raises AskFailed."""
        longer = conversation.answered(said, self._templates, template, problem=problem)
        try:
            return self._fitted(longer)
        except PromptTooLongError as error:
            raise self._cannot_correct(error, log) from None

    def _cannot_correct(self, error: PromptTooLongError, log: Log) -> AskFailed:
        return AskFailed(f"{self.model} cannot be told what was wrong with its reply: {error}", log.exchanges)

    def _converse(
        self,
        snapshot: ArchiveSnapshot,
        conversation: Conversation,
        log: Log,
        patience: Patience,
        rejected: Rejected | None = None,
    ) -> Ask:
        """Complete and parse, with corrections, until a proposal comes of it. rejected: what is to be mended."""
        problem = ""
        for turn in range(CORRECTIONS[self._form] + 1):
            conversation, reply = self._complete(conversation, snapshot.seed + turn, log, patience)
            try:
                proposal = self._proposal(snapshot, conversation, reply, rejected)
            except BadReply as bad:
                problem = str(bad)
                log.reject(problem)
                conversation = self._answered(conversation, _quoted(reply), INVALID, problem, log)
                continue
            return Ask(proposal, log.exchanges, usd_of(log.exchanges))
        raise AskFailed(f"{self.model} gave no usable reply: {problem}", log.exchanges)

    def _complete(
        self, conversation: Conversation, seed: int, log: Log, patience: Patience
    ) -> tuple[Conversation, HttpAttempt]:
        """The reply, and the conversation that got it: a shorter one where the endpoint finds the prompt too long.

        A first prompt of which nothing more can be left out is the user's to mend; a correction is only given up.
        """
        first = len(conversation.turns) == len(FIRST_TURNS)
        try:
            while True:
                sent = conversation
                try:
                    request = self._request(sent, seed)
                    reply = self._endpoint.complete(
                        request,
                        patience.deadline,
                        lambda attempt: log.add(sent, attempt),  # noqa: B023
                        patience.busy,
                    )
                    return sent, reply
                except ContextOverflowError as overflow:
                    conversation = self._shorter(sent, overflow)
        except EndpointError as error:
            error.exchanges = log.exchanges
            if isinstance(error, PromptTooLongError) and not first:
                raise self._cannot_correct(error, log) from None
            raise

    def _shorter(self, conversation: Conversation, overflow: ContextOverflowError) -> Conversation:
        """The conversation as the endpoint may take it, now that it has refused this one."""
        try:
            return self._fitted(conversation)
        except PromptTooLongError as error:
            raise PromptTooLongError(
                f"{overflow}; the shortest prompt, of about {error.needed} tokens, is too long as well: {LONGER}",
                error.needed,
            ) from None

    def _request(self, conversation: Conversation, seed: int) -> Request:
        facts = conversation.facts
        if conversation.form == "structured":
            schema = structured_schema(facts.mechanisms, facts.tasks)
        else:
            schema = code_schema(facts.parents, facts.tasks)
        return Request(conversation.messages, schema, seed)

    def _proposal(
        self, snapshot: ArchiveSnapshot, conversation: Conversation, reply: HttpAttempt, rejected: Rejected | None
    ) -> Proposal:
        """The reply as a proposal that nobody made before. Raises BadReply."""
        if reply.refusal and "{" not in (reply.text or ""):
            raise BadReply(f"the reply cannot be used: {reply.refusal}")
        provenance = Provenance(proposer=self.name, seed=snapshot.seed, model=self.model)
        proposal = build_proposal(reply.text or "", reply.finish, conversation, provenance)
        if rejected is not None and identity(proposal.variant.source) == rejected.code:
            problem = rejected.problem[:LONGEST_QUOTE]
            raise BadReply(f"this is the source just rejected, for {problem}. Change what causes that")
        twin = self._twin(snapshot, proposal) or self._claims.claim(proposal, snapshot.variants.values())
        if twin is not None:
            raise BadReply(f"this computes the same as {twin}, {_known_as(snapshot, twin)}: choose another mechanism")
        return proposal

    def _twin(self, snapshot: ArchiveSnapshot, proposal: Proposal) -> str | None:
        """A known variant with the same mechanisms, where the proposal is made of any."""
        if not proposal.provenance.mechanisms:
            return None
        canonical = Genome.model_validate(proposal.provenance.mechanisms).canonical
        return next((name for name, genome in snapshot.genomes.items() if genome.canonical == canonical), None)


def _known_as(snapshot: ArchiveSnapshot, name: str) -> str:
    """What is known of a variant, in a clause."""
    record = next(iter(snapshot.proposals(lambda line: line.name == name)), None)
    if record is None or record.status is not Status.REJECTED:
        return "which is known"
    return f"which was rejected, for {record.reason}"


def _quoted(reply: HttpAttempt) -> str:
    """What a correction shows the model of its reply: all, but only the beginning of one that ran on without end."""
    text = reply.text or "(nothing)"
    return f"{text[:LONGEST_QUOTE]} ..." if reply.finish == "length" else text
