"""The prompts as Jinja2 templates: archer's own, each overridden by a file of its name in `--prompts DIR`."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from agent.proposers.llm.errors import EndpointError
from archive.files import read_given

FIRST_TURNS = {"system": "system.md.j2", "user": "ask.md.j2"}
BROKEN = (
    *(jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError),
    *(TypeError, ValueError),
)
"""What a template can raise: it is a program."""
INVALID, REPAIR = "invalid.md.j2", "repair.md.j2"


class Templates:
    """Renders templates by name; an undefined variable or a broken override is an error, never an empty place."""

    def __init__(self, override: Path | None = None) -> None:
        """Raises EndpointError for a directory that is none or that overrides nothing."""
        own = Path(str(files("prompts.llm")))
        self._folders = [own]
        if override is not None:
            known, found = _names(own), _names(override)
            if not found or found - known:
                wrong = ", ".join(sorted(found - known)) or "no template"
                raise EndpointError(
                    f"--prompts {override} holds {wrong}; templates are named {', '.join(sorted(known))}"
                )
            self._folders.insert(0, override)
        self._environment = SandboxedEnvironment(
            loader=jinja2.FunctionLoader(self._source),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            autoescape=False,
        )

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """The text, with runs of blank lines reduced to one. Raises EndpointError for a broken template."""
        try:
            text = self._environment.get_template(name).render(values)
        except BROKEN as error:
            problem = str(error) or type(error).__name__
            raise EndpointError(f"prompt template {name}: {problem}; mend it, or leave out --prompts") from None
        lines: list[str] = []
        for line in text.splitlines():
            if line.strip() or (lines and lines[-1]):
                lines.append(line.rstrip())
        return "\n".join(lines).strip() + "\n"

    def digests(self) -> dict[str, str]:
        """Short SHA-256 of every template in force, by name."""
        names = sorted({name for folder in self._folders for name in _names(folder)})
        return {name: hashlib.sha256((self._source(name) or "").encode()).hexdigest()[:12] for name in names}

    def _source(self, name: str) -> str | None:
        """The text of the first template of this name; None without one. Raises EndpointError."""
        path = next((folder / name for folder in self._folders if name in _names(folder)), None)
        if path is None:
            return None
        try:
            return read_given(path)
        except (OSError, UnicodeDecodeError) as error:
            raise EndpointError(f"prompt template {path} cannot be read: {error}; give UTF-8 text") from None


def _names(folder: Path) -> set[str]:
    """Names of the templates in a folder; none where it is none."""
    return {path.name for path in folder.glob("*.j2")} if folder.is_dir() else set()
