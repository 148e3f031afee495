"""Which proposer answers a search: the one asked for, else a language model where there is one, else evolution."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import UserError
from agent.proposer import Proposer
from agent.proposers.evolution.evolve import EvolveProposer
from agent.proposers.evolution.random import RandomProposer
from agent.proposers.llm.endpoint.local import LocalServer
from agent.proposers.llm.endpoint.options import read_options
from agent.proposers.llm.endpoint.settings import KEY_VARIABLE, URL_VARIABLE, LLMSettings, withdraw_key
from agent.proposers.llm.proposer import OpenAIProposer
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

    def settings(self, archive: Archive) -> dict[str, Any]:
        """Options of the command line, of the file, and the archive's journal. Raises EndpointError."""
        given = {name: value for name, value in self.llm.items() if value is not None}
        return {**read_options(self.options), **given, "journal": archive.journal}


@contextmanager
def open_proposer(choice: Choice, archive: Archive) -> Iterator[tuple[Proposer, str]]:
    """The proposer, and one line for people that says which it is and why. Raises UserError, EndpointError.

    The key leaves the environment here: nothing that is started later inherits it.
    """
    key = withdraw_key(os.environ)
    llm = choice.settings(archive)
    configured = bool(key or os.environ.get(URL_VARIABLE) or llm.get("base_url"))
    name = choice.name
    if name.startswith("replay:"):
        record = archive.record(name.removeprefix("replay:"))
        came = archive.origin(record.id)
        yield ReplayProposer(record, came.renamed if came else {}), f"replay of {record.id}"
    elif name == "evolve" or (name == "auto" and not configured and choice.gguf is None):
        why = "" if name == "evolve" else f" (no {KEY_VARIABLE}, no endpoint: no language model is asked)"
        yield EvolveProposer(), f"evolve{why}"
    elif name == "random":
        yield RandomProposer(), "random: genomes of the catalogue, drawn blindly"
    elif name not in ("auto", "openai"):
        raise UserError(f"--proposer {name}: choose one of {', '.join(CHOICES)}")
    elif choice.gguf is not None:
        with LocalServer(choice.gguf, slots=choice.jobs) as server:
            proposer = OpenAIProposer(server.settings(**llm))
            yield proposer, f"openai ({proposer.model}, served on this machine)"
    else:
        settings = LLMSettings.resolve(os.environ, key, **llm)
        proposer = OpenAIProposer(settings)
        yield proposer, f"openai ({proposer.model} at {settings.public_url})"
