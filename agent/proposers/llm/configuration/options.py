"""The file of `--llm`: options of the language model that are set once, and not at every call."""

from pathlib import Path
from typing import Any

from agent.proposers.llm.configuration.settings import KEY_VARIABLE, LLMSettings
from agent.proposers.llm.errors import EndpointError
from agent.proposers.llm.toml_values import read_toml

NOT_IN_A_FILE = ("key", "journal", "free")
FILE_OPTIONS = tuple(name for name in LLMSettings.model_fields if name not in NOT_IN_A_FILE)
_PATHS = ("prompts", "prices")
SEVERAL = ("model", "command")
"""What may be named several times: each is a model of the search."""


def read_options(path: Path | None) -> dict[str, Any]:
    """Options by name, none without a file. Relative paths are relative to the file. Raises EndpointError."""
    if path is None:
        return {}
    try:
        found = read_toml(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise EndpointError(f"--llm {path}: {reason}; a TOML file is expected, as in reply_tokens = 16000") from None
    if "key" in found or "api_key" in found:
        raise EndpointError(f"--llm {path}: a key does not belong into a file; set {KEY_VARIABLE} instead")
    unknown = sorted(found.keys() - set(FILE_OPTIONS))
    if unknown:
        raise EndpointError(
            f"--llm {path}: no option is called {', '.join(unknown)}; there are {', '.join(FILE_OPTIONS)}"
        )
    for name in SEVERAL:
        if name in found:
            found[name] = _listed(found[name], f"--llm {path}: {name}")
    return found | {name: path.parent / str(found[name]) for name in _PATHS if name in found}


def merged(given: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """Options of the command line, and those of the file that it does not give. Raises EndpointError.

    Models that the command line names take the place of all models and commands of the file.
    """
    given = {name: value for name, value in given.items() if value is not None and value != []}
    read = read_options(path)
    if any(name in given for name in SEVERAL):
        read = {name: value for name, value in read.items() if name not in SEVERAL}
    return read | given


def one_by_one(options: dict[str, Any]) -> list[dict[str, Any]]:
    """The options of each model: those that are named, then each command; of the only one there is if none is named."""
    rest = {name: value for name, value in options.items() if name not in SEVERAL}
    models, commands = (_listed(options.get(name) or [], name) for name in SEVERAL)
    named = [rest | {"model": model} for model in dict.fromkeys(models)]
    named += [rest | {"command": command} for command in dict.fromkeys(commands)]
    return named or [rest]


def _listed(value: object, where: str) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name.strip() for name in names):
        raise EndpointError(f'{where}: a name is expected, or a list of names, as in ["A", "B"]')
    return list(names)
