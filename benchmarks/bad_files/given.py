"""What a user names on the command line: variant files, CSV, TOML, templates, the folder of a site."""

import contextlib
import itertools
from collections.abc import Callable
from importlib.resources import files as resources
from pathlib import Path

from agent.errors import UserError
from agent.proposers.llm.bookkeeping.prices import PriceTable
from agent.proposers.llm.configuration.options import merged, one_by_one
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.deduplication import identity
from agent.proposers.llm.prompt.templates import Templates
from agent.reports.patch import new_file_patch, replacement_patch
from agent.search.find_variant import variant_from_file
from agent.site.manifest import LEDGER, open_ledger
from archive.errors import LeaderboardError
from archive.tables.foreign_csv import read_foreign_leaderboard
from archive.tables.leaderboard_csv import PUBLISHED, format_leaderboard, parse_leaderboard, read_leaderboard
from benchmarks.bad_files.contents import (
    Content,
    broken_bytes,
    broken_json,
    broken_python,
    broken_text,
    files,
)
from benchmarks.bad_files.rule import FINDING, Kind, command, put, refusing, remove, standing
from evaluator import fence
from evaluator.checks.scope import check_scope
from variants.contract import BASELINE, Variant
from variants.seeds import seed_variants
from variants.source import loop_source

TOML = (
    "[",
    "]",
    "[[",
    '"',
    "'''",
    '"""',
    "=",
    ".",
    ",",
    "{",
    "}",
    "#",
    "inf",
    "nan",
    "2026-01-01",
    "00:00",
    "0x",
    "1" * 5000,
    "[" * 2000,
    "a.b.c.",
    "\\u",
)
CSV = (
    ",",
    ";",
    "\t",
    "|",
    '"',
    '""',
    "\n",
    "±",
    "%",
    "(",
    ")",
    "nan",
    "inf",
    "1e400",
    "-",
    "0.5",
    "50",
    "sep=;\n",
    "=1+1",
    "\r",
    "Memorize",
    "name",
    "'",
    "2,5",
)
LLM = (
    b'model = ["A", "B"]\nbase_url = "http://127.0.0.1:9/v1"\ncontext_tokens = 16000\nreply_tokens = 2000\n',
    b'command = "cat"\nform = "structured"\nmax_usd = 1.5\nprices = "prices.toml"\nprompts = "prompts"\n',
)
PRICES = (b'[models."A"]\ninput = 2.5\noutput = 10.0\ncached_input = 1.0\n[models.B]\ninput = 1\noutput = 2\n',)
JINJA = (
    "{{",
    "}}",
    "{%",
    "%}",
    "{% for x in range(10**9) %}",
    "{{ facts }}",
    "{{ facts.x.y }}",
    "{{ 1/0 }}",
    "{{ 'x' * 10**10 }}",
    "{% include 'x' %}",
    "{% extends 'ask.md.j2' %}",
    "{{ ''.__class__ }}",
    "{{ facts|map('int') }}",
    "{#",
    "{{ [1]|first|abs('x') }}",
    "{{ -facts }}",
)


def kinds(folder: Path) -> list[Kind]:
    """All of them, with files in `folder`."""
    sources = [seed.source.encode() for seed in itertools.islice(seed_variants().values(), 0, None, 4)]
    tables = [PUBLISHED.read_bytes(), PUBLISHED.read_bytes().replace(b",", b";").replace(b".", b",")]
    variant, table = folder / "my_idea.py", folder / "table.csv"
    python = files(broken_python(sources), broken_bytes(sources))
    csv = files(broken_text([data[:1500] for data in tables], CSV), broken_bytes([data[:1500] for data in tables]))
    templates = [(resources("prompts.llm") / name).read_bytes() for name in ("system.md.j2", "ask.md.j2")]
    return [
        Kind("variant file", python, at(variant, (UserError,), judged)),
        Kind("variant file, commands", python, commands(variant, _of_variant(variant)), cpu_seconds=15.0, share=0.05),
        Kind("leaderboard of others", csv, at(table, (LeaderboardError,), _imported)),
        Kind("leaderboard of ours", csv, at(table, (LeaderboardError,), read_leaderboard)),
        Kind(
            "options of --llm",
            files(broken_text(LLM, TOML), broken_bytes(LLM)),
            at(folder / "llm.toml", (UserError,), _settings),
        ),
        Kind(
            "prices",
            files(broken_text(PRICES, TOML), broken_bytes(PRICES)),
            at(folder / "prices.toml", (UserError,), PriceTable.read),
        ),
        Kind(
            "prompt template",
            files(broken_text([text[:3000] for text in templates], JINJA)),
            at(folder / "prompts" / "system.md.j2", (UserError,), _rendered),
            share=0.2,
        ),
        Kind(
            "file of --against",
            python,
            commands(folder / "naive.py", _against(folder / "naive.py")),
            cpu_seconds=15.0,
            share=0.1,
        ),
        Kind(
            "ledger of a site",
            files(broken_json([{"maker": "x", "entries": {}, "files": ["index.html", "../x"]}])),
            at(folder / "site" / LEDGER, (UserError,), lambda path: open_ledger(path.parent)),
        ),
    ]


def at(path: Path, refuses: tuple[type[Exception], ...], read: Callable[[Path], object]) -> Callable[[Content], str]:
    """Reads a content as the file at a path."""

    def reading(content: Content) -> str:
        put(path, content)
        try:
            return refusing(refuses, lambda: read(path))
        finally:
            remove(path)

    return reading


def commands(path: Path, lines: list[list[str]]) -> Callable[[Content], str]:
    """Reads a content by whole commands, one after the other; says how the last one that is not done ends."""

    def reading(content: Content) -> str:
        with standing(path, content):
            ends = [command(*line, whole="export" not in line) for line in lines]
        return next((end for end in reversed(ends) if end != "read"), "read")

    return reading


def judged(path: Path) -> str | None:
    """A variant file by all that looks at it without running it; FINDING where the fence or the scope has one."""
    variant = variant_from_file(path)
    loop_source(variant.source), identity(variant.source), new_file_patch(variant)
    with contextlib.suppress(UserError):
        replacement_patch(variant, "naive.py", seed_variants()[BASELINE].source, "naive.py")
    try:
        tree = fence.parse(variant.source)
    except fence.SourceError:
        return FINDING
    if fence.violations(tree):
        return FINDING
    fence.taken_off(variant.source)
    return FINDING if check_scope(tree, variant, seed_variants()[BASELINE]).status != "pass" else None


def _imported(path: Path) -> object:
    """What `archer import-csv` makes of a table is a table in the published form."""
    text = format_leaderboard(read_foreign_leaderboard(path).table)
    return parse_leaderboard(text, "what was imported")


def _settings(path: Path) -> list[LLMSettings]:
    return [LLMSettings.resolve({}, "a-key", **options) for options in one_by_one(merged({}, path))]


def _rendered(path: Path) -> str:
    return Templates(path.parent).render(path.name, {"facts": {"form": "code"}})


def _of_variant(path: Path) -> list[list[str]]:
    nowhere = ["--archive", str(path.parent / "no-archive")]
    started = str(path.with_name("started.py"))
    return [
        ["export", str(path), *nowhere],
        ["diff", str(path), BASELINE, *nowhere],
        ["new", str(path), started, *nowhere],
    ]


def _against(path: Path) -> list[list[str]]:
    return [["export", BASELINE, "--patch", "--against", str(path), "--archive", str(path.parent / "no-archive")]]


def variant_of(source: str) -> Variant:
    """A variant of that source."""
    return Variant(name="my_idea", source=source)
