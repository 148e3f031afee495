"""The command line, and what each kind of failure turns into."""

import gc
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path

import typer
from typer.exceptions import TyperException

from agent.commands.registry import COMMANDS, find
from agent.errors import BUG, DONE, INTERRUPTED, USAGE, UserError
from agent.terminal.console import clean
from archive.errors import ArchiveError, LeaderboardError
from evaluator.sandbox import SandboxUnavailable
from evaluator.sandbox import prestart as early

SANDBOXED = (["check"], ["evaluate"], ["propose"])
"""Commands that start by opening a sandbox."""


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(
        name="archer",
        help="Search for better chunkwise delta-rule kernels: propose, check, train, score, archive.",
        epilog="Example: archer propose --n 5",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(lambda: None)  # else a single command would be the whole command line
    for name in names:
        app.command(name)(find(name))
    return app


def main() -> None:
    """Run the command line and exit with the code that `run` gives."""
    if sys.argv[1:2] in SANDBOXED and "--help" not in sys.argv:
        early.begin()
    _import_torch()
    code = run(sys.argv[1:])
    early.drop()
    if code == INTERRUPTED or sys.argv[1:2] == ["check"]:
        # threads that wait for a model's reply would hold up an orderly exit, and torch holds up that of a check
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


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
        named = arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS
        result = application(named)(arguments, standalone_mode=False)
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


def _usage(message: str) -> int:
    sys.stderr.write(f"archer: {clean(' '.join(message.split()))}\n")
    return USAGE


def _bug() -> int:
    trace = traceback.format_exc()
    handle, log = tempfile.mkstemp(prefix="archer-bug-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(f"{' '.join(sys.argv)}\n{trace}")
    sys.stderr.write(f"{trace}archer: this is a bug of archer's, not yours; the trace is in {Path(log)}\n")
    return BUG


if __name__ == "__main__":
    main()
