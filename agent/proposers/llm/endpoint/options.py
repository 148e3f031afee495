"""The file of `--llm`: options of the language model that are set once, and not at every call."""

import tomllib
from pathlib import Path
from typing import Any

from agent.proposers.llm.endpoint.errors import EndpointError
from agent.proposers.llm.endpoint.settings import KEY_VARIABLE, LLMSettings

NOT_IN_A_FILE = ("key", "journal", "free")
FILE_OPTIONS = tuple(name for name in LLMSettings.model_fields if name not in NOT_IN_A_FILE)
_PATHS = ("prompts", "prices")


def read_options(path: Path | None) -> dict[str, Any]:
    """Options by name, none without a file. Relative paths are relative to the file. Raises EndpointError."""
    if path is None:
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise EndpointError(f"--llm {path}: {reason}; a TOML file is expected, as in reply_tokens = 16000") from None
    if "key" in found or "api_key" in found:
        raise EndpointError(f"--llm {path}: a key does not belong into a file; set {KEY_VARIABLE} instead")
    unknown = sorted(found.keys() - set(FILE_OPTIONS))
    if unknown:
        raise EndpointError(
            f"--llm {path}: no option is called {', '.join(unknown)}; there are {', '.join(FILE_OPTIONS)}"
        )
    return found | {name: path.parent / str(found[name]) for name in _PATHS if name in found}
