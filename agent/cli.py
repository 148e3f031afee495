"""The command line, and what each kind of failure turns into."""

import gc
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from agent.commands.registry import COMMANDS, Command, find
from agent.commands.welcome import print_version, welcome
from agent.errors import BUG, DONE, INTERRUPTED, USAGE, UserError
from agent.terminal.console import clean
from agent.terminal.plain_ascii import speak_ascii
from archive.errors import ArchiveError, LeaderboardError
from evaluator.sandbox import SandboxUnavailable, prestart


class _Teller(logging.Handler):
    """Says what the archive has to say while it waits."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line, at once."""
        sys.stderr.write(f"archer: {clean(record.getMessage())}\n")


logging.getLogger("archive").addHandler(_Teller())
SELDOM = (200_000, 50, 100)
"""When Python looks for garbage: of the values of a large archive none is, and looking took a third of the time."""
LONGEST_REASON = 2_000
"""Characters of an error; of a longer one, begin and end are printed."""
COMPLETION = "_ARCHER_COMPLETE"
"""The variable by which a shell asks for completions."""
SANDBOXED = ("check", "evaluate", "propose")
"""Commands that start by opening a sandbox."""
WITH_TORCH = (*SANDBOXED, "compare", "doctor", "new", "protocol", "replay")
"""Commands that compute; all others read and write files, and do not wait for torch, which takes a second or two."""


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands, each imported."""
    return _application({name: find(name) for name in names})


def _outline() -> typer.Typer:
    """All commands by name and summary: enough to list and to complete them, and nothing is imported."""

    def described(summary: str) -> Command:
        def command() -> None: ...

        command.__doc__ = summary
        return command

    return _application({name: described(summary) for name, summary in COMMANDS.items()})


def _application(commands: Mapping[str, Command]) -> typer.Typer:
    settings = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(
        name="archer",
        help="Search for better sequence-mixing architectures: propose, check, train, score and archive kernels.",
        epilog="`archer COMMAND --help` explains a command. Example: archer propose --n 5",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=settings,
    )
    app.callback()(_options)  # also, without it a single command would be the whole command line
    for name, command in commands.items():
        app.command(name, context_settings=settings)(command)
    return app


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of archer itself."""


def main() -> None:
    """Run the command line and exit with the code that `run` gives."""
    speak_ascii(sys.stdout, sys.stderr)
    name = _at_work(sys.argv[1:])
    gc.set_threshold(*SELDOM)
    if name in SANDBOXED:
        prestart.begin()
    if name in WITH_TORCH:
        _import_torch()
    code = run(sys.argv[1:])
    prestart.drop()
    if code == INTERRUPTED or sys.argv[1:2] == ["check"]:
        # threads that wait for a model's reply would hold up an orderly exit, and torch holds up that of a check
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _at_work(arguments: Sequence[str]) -> str | None:
    """The command that runs; None where help, the version or a completion is wanted, which nobody likes to wait for."""
    helped = {"-h", "--help"} & set(arguments)
    return next((word for word in arguments[:1] if word in COMMANDS and not helped), None)


def _import_torch() -> None:
    gc.disable()  # what is imported stays: to look for garbage in it takes a seventh of the time
    try:
        import torch

        torch.set_num_threads(1)  # several proposals are checked and scored at once, each in a thread
    finally:
        gc.freeze()
        gc.enable()


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code and prints at most one line for what the user can mend."""
    try:
        if not arguments and COMPLETION not in os.environ:
            sys.stdout.write(welcome())
            return DONE
        name = _wanted(arguments)
        result = (application([name]) if name else _outline())(arguments, prog_name="archer", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        return _usage(error.format_message() if hasattr(error, "format_message") else str(error))
    except (UserError, ArchiveError, LeaderboardError, SandboxUnavailable) as error:
        return _usage(str(error))
    except BrokenPipeError:  # whoever read the answer has enough of it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        return _usage(f"{error.filename or 'the system'}: {error.strerror or error}; nothing was left half-written")
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("archer: interrupted; everything finished so far is archived\n")
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - the last line of defence: say that it is ours and where to look
        return _bug()
    return result if isinstance(result, int) else DONE


def _wanted(arguments: list[str]) -> str | None:
    """The command that is called, or whose options a shell completes; None for none that there is."""
    words = os.environ.get("COMP_WORDS", "").split()[1:] if COMPLETION in os.environ else arguments
    words = words or os.environ.get("_TYPER_COMPLETE_ARGS", "").split()[1:]
    return next((word for word in words[:1] if word in COMMANDS), None)


def _usage(message: str) -> int:
    reason = clean(" ".join(message.split()))
    if len(reason) > LONGEST_REASON:  # somebody's file is quoted in it; what to do is said at the end
        half = LONGEST_REASON // 2
        reason = f"{reason[:half]} ... {reason[-half:]}"
    sys.stderr.write(f"archer: {reason}\n")
    return USAGE


def _bug() -> int:
    trace = traceback.format_exc()
    handle, log = tempfile.mkstemp(prefix="archer-bug-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(f"{' '.join(sys.argv)}\n{trace}")
    sys.stderr.write(f"{trace}archer: this is a bug of archer's, not yours; the trace is in {Path(log)}\n")
    return BUG


if __name__ == "__main__":
    main()
