"""What the docs name exists: files of the project, and commands of archer."""

import re
from pathlib import Path

import pytest

from agent.commands.registry import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
         *sorted((ROOT / "docs/results").glob("*.md"))]  # fmt: skip
PATH = re.compile(r"(?<![\w./-])(?:agent|archive|benchmarks|docs|evaluator|prompts|tests|variants)/[\w./-]*\w")
COMMAND = re.compile(r"^`?archer ([a-z][a-z-]+)(?= |`|$)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {found.partition(":")[0] for found in PATH.findall(text)}
    missing = [name for name in sorted(named) if not (ROOT / name).exists() and "NAME" not in name]
    assert missing == []
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_commands_that_a_page_names_exist(page: Path) -> None:
    blocks = re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    named = {name for block in blocks for name in COMMAND.findall(block)}
    assert named
    assert named <= set(COMMANDS)
