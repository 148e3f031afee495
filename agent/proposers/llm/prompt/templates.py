"""The prompts as Jinja2 templates: archer's own, each overridden by a file of its name in `--prompts DIR`."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from agent.proposers.llm.errors import EndpointError

FIRST_TURNS = {"system": "system.md.j2", "user": "ask.md.j2"}
INVALID, REPAIR = "invalid.md.j2", "repair.md.j2"


class Templates:
    """Renders templates by name; an undefined variable or a broken override is an error, never an empty place."""

    def __init__(self, override: Path | None = None) -> None:
        """Raises EndpointError for a directory that is none or that overrides nothing."""
        own = Path(str(files("prompts.llm")))
        self._folders = [own]
        if override is not None:
            known = {path.name for path in own.glob("*.j2")}
            found = {path.name for path in override.glob("*.j2")} if override.is_dir() else set()
            if not found or found - known:
                wrong = ", ".join(sorted(found - known)) or "no template"
                raise EndpointError(
                    f"--prompts {override} holds {wrong}; templates are named {', '.join(sorted(known))}"
                )
            self._folders.insert(0, override)
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader([str(folder) for folder in self._folders]),
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
        except jinja2.TemplateError as error:
            raise EndpointError(f"prompt template {name}: {error}; mend it, or leave out --prompts") from None
        lines: list[str] = []
        for line in text.splitlines():
            if line.strip() or (lines and lines[-1]):
                lines.append(line.rstrip())
        return "\n".join(lines).strip() + "\n"

    def digests(self) -> dict[str, str]:
        """Short SHA-256 of every template in force, by name."""
        found: dict[str, str] = {}
        for folder in reversed(self._folders):
            for path in sorted(folder.glob("*.j2")):
                found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        return found
