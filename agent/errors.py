"""The errors that a user can mend; everything else that escapes a command is a bug of archer's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DONE, NO, USAGE, BUG, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes."""


class UserError(Exception):
    """One line: what is wrong, where, and how to mend it. The command ends with exit code 2."""


@contextmanager
def readable(path: Path, what: str) -> Iterator[None]:
    """Turn a failure to read `path` into a UserError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{what} {path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder, not a {what}; name a file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{what} {path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror}; check its path and permissions") from error
    except ValueError as error:
        if "\0" not in str(path):  # what it holds is wrong, and says so itself
            raise UserError(str(error)) from error
        raise UserError(f"{what} {str(path)!r} cannot be read: {error}; check its path") from error
