"""Which proposer answers a search: the one asked for, else a language model where there is one, else evolution."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import UserError
from agent.proposer import Proposer
from agent.proposers.evolution.evolve import EvolveProposer
from agent.proposers.evolution.random import RandomProposer
from agent.proposers.llm.bookkeeping.spending import SpendingLimit
from agent.proposers.llm.configuration.options import merged, one_by_one
from agent.proposers.llm.configuration.settings import KEY_VARIABLE, URL_VARIABLE, LLMSettings, withdraw_key
from agent.proposers.llm.deduplication import Claims
from agent.proposers.llm.exchanges import model_of, usd_of
from agent.proposers.llm.local_server.server import LocalServer
from agent.proposers.llm.model_choice import Try
from agent.proposers.llm.proposer import OpenAIProposer
from agent.proposers.llm.several_models import SeveralModels
from agent.proposers.replay import ReplayProposer
from archive.store import Archive

CHOICES = ("auto", "openai", "evolve", "random", "replay:ID")


@dataclass(frozen=True)
class Choice:
    """What the command line says of the proposer. `llm`: options of LLMSettings, None where not given.

    `options`: a file of further ones, which those of the command line override.
    """

    name: str
    gguf: Path | None
    jobs: int
    llm: dict[str, Any]
    options: Path | None = None

    def given(self) -> list[str]:
        """Options of the command line that only a language model has a use for, as they are typed."""
        named = {"gguf": self.gguf, **self.llm}
        return [f"--{name.replace('_', '-')}" for name, value in named.items() if value is not None and value != []]

    def settings(self, archive: Archive) -> dict[str, Any]:
        """Options of the command line and of the file, and the archive's journal. Raises EndpointError."""
        return {**merged(self.llm, self.options), "journal": archive.journal}


def require_model(choice: Choice) -> None:
    """Raises UserError where a language model was asked for that nobody will ask, EndpointError for a bad file."""
    given = choice.given()
    if given and (choice.name in ("evolve", "random") or choice.name.startswith("replay:")):
        asks = f"no language model is asked with --proposer {choice.name}"
        raise UserError(f"{', '.join(given)}: {asks}; leave out one of the two")
    given += [f"--llm {choice.options}"] if choice.options else []
    if given and choice.name == "auto" and not _is_configured(os.environ.get(KEY_VARIABLE, ""), choice):
        raise UserError(
            f"{', '.join(given)}: there is no language model to ask; set {KEY_VARIABLE}, or name an endpoint with "
            "--base-url, a program with --command or a model file with --gguf"
        )


def _is_configured(key: str, choice: Choice) -> bool:
    """Whether it is known where to ask a language model. Raises EndpointError for a bad file of options."""
    llm = merged(choice.llm, choice.options)
    return bool(key.strip() or os.environ.get(URL_VARIABLE) or llm.get("base_url") or llm.get("command") or choice.gguf)


@contextmanager
def open_proposer(choice: Choice, archive: Archive) -> Iterator[tuple[Proposer, str]]:
    """The proposer, and one line for people that says which it is and why. Raises UserError, EndpointError.

    The key leaves the environment here: nothing that is started later inherits it.
    """
    key = withdraw_key(os.environ)
    llm, name = choice.settings(archive), choice.name
    if name.startswith("replay:"):
        record = archive.record(name.removeprefix("replay:"))
        came = archive.origin(record.id)
        yield ReplayProposer(record, came.renamed if came else {}), f"replay of {record.id}"
    elif name == "evolve" or (name == "auto" and not _is_configured(key, choice)):
        why = "" if name == "evolve" else f" (no {KEY_VARIABLE}, no endpoint: no language model is asked)"
        yield EvolveProposer(), f"evolve{why}"
    elif name == "random":
        yield RandomProposer(), "random: genomes of the catalogue, drawn blindly"
    elif name not in ("auto", "openai"):
        raise UserError(f"--proposer {name}: choose one of {', '.join(CHOICES)}")
    else:
        with ExitStack() as stack:
            served = None if choice.gguf is None else stack.enter_context(LocalServer(choice.gguf, slots=choice.jobs))
            settings = [_settings(options, key, served) for options in _models(llm, served)]
            yield _asking(settings, archive)


def _models(llm: dict[str, Any], served: LocalServer | None) -> list[dict[str, Any]]:
    """The options of each model that is asked. Raises UserError where one server is to serve several."""
    if served is None:
        return one_by_one(llm)
    without = {name: value for name, value in llm.items() if name != "command"}
    own = one_by_one(without)
    if len(own) > 1:
        raise UserError(f"--gguf {served.gguf}: it is one model, and {len(own)} are named with --model")
    commands = {name: value for name, value in llm.items() if name != "model"}
    return own + (one_by_one(commands) if llm.get("command") else [])


def _settings(options: dict[str, Any], key: str, served: LocalServer | None) -> LLMSettings:
    if served is not None and "command" not in options:
        return served.settings(**options)
    return LLMSettings.resolve(os.environ, key, **options)


def _asking(settings: list[LLMSettings], archive: Archive) -> tuple[Proposer, str]:
    """The proposer that asks these models, and which they are."""
    claims, budget = Claims(), SpendingLimit(settings[0].max_usd)
    arms = [OpenAIProposer(each, claims, budget) for each in settings]
    who = ", ".join(f"{arm.model} {_where(each)}" for arm, each in zip(arms, settings, strict=True))
    if len(arms) == 1:
        return arms[0], f"openai ({who})"
    return SeveralModels(arms, _failed_tries(archive)), f"openai ({len(arms)} models: {who})"


def _where(settings: LLMSettings) -> str:
    if settings.command is not None:
        return "as a command"
    return "served on this machine" if settings.free else f"at {settings.public_url}"


def _failed_tries(archive: Archive) -> list[Try]:
    """Asks of earlier searches that gave no proposal."""
    tries = []
    for exchanges in archive.failed_exchanges():
        for model in {model_of(exchange) for exchange in exchanges} - {None}:
            own = tuple(exchange for exchange in exchanges if model_of(exchange) == model)
            seconds = sum(exchange.seconds for exchange in own)
            tries.append(Try(str(model), seconds=seconds, usd=usd_of(own)))
    return tries
