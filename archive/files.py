"""Reading and writing of single files: whole or not at all. Every error names the file."""

import contextlib
import errno
import json
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from archive.errors import ArchiveError

M = TypeVar("M", bound=BaseModel)

LARGEST = 64 << 20
"""Bytes of one file that is read."""


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text. A crash or a full disk leaves the old content, or no file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def write_json(path: Path, content: Any) -> None:
    """Write JSON that reads well in a diff."""
    write_text(path, as_json(content))


def as_json(content: Any) -> str:
    """JSON that reads well in a diff, as `write_json` writes it."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_lines(path: Path, values: Iterable[BaseModel]) -> None:
    """Write one JSON document per line."""
    write_text(path, as_lines(values))


def as_lines(values: Iterable[BaseModel]) -> str:
    """One JSON document per line, as `write_lines` writes them."""
    return "".join(value.model_dump_json() + "\n" for value in values)


def read_bytes(path: Path) -> bytes:
    """Content of a file of the archive. Links are not followed. Raises ArchiveError that names the file."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            return stream.read()
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} is missing; `archer verify` lists what else is") from error
    except OSError as error:
        words = "is a link; an archive holds plain files" if path.is_symlink() else f"cannot be read ({error.strerror})"
        raise ArchiveError(f"{path} {words}; restore it with `git checkout`") from error


def open_given(path: Path) -> BinaryIO:
    """Open a file that somebody names, or what a shell pipes in its place.

    Raises OSError: also for a device, a socket or a named pipe, which might never end.
    """
    mode = path.stat().st_mode
    piped = stat.S_ISFIFO(mode) and not path.resolve().exists()  # `<(program)`: the shell has started who writes
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or piped):
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, and no file", str(path))
    return path.open("rb")


def read_given(path: Path, largest: int = LARGEST) -> str:
    """UTF-8 text of a file that somebody names, with its line breaks unchanged.

    Raises UnicodeDecodeError, and OSError as `open_given` does, and for more than `largest` bytes.
    """
    with open_given(path) as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest} bytes", str(path))
    return content.decode("utf-8")


def read_text(path: Path) -> str:
    """Content of a file of the archive as UTF-8 text, with its line breaks unchanged. Raises ArchiveError."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{path} is not UTF-8 text ({error}); restore it with `git checkout`") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ArchiveError that names the file."""
    try:
        text = read_bytes(path)
        content = json.loads(text)
        if b"\\u" in text:
            json.dumps(content, ensure_ascii=False).encode()  # a lone surrogate can be read, and never written
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{path} cannot be read as JSON ({error}); restore it with `git checkout`") from error
    if not isinstance(content, dict):
        raise ArchiveError(f"{path} should hold a JSON object; restore it with `git checkout`")
    return content


def read_lines(path: Path, model: type[M]) -> tuple[M, ...]:
    """Read one value per line; a missing file has none. Raises ArchiveError that names file and line."""
    if not os.path.lexists(path):
        return ()
    values = []
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        try:
            values.append(model.model_validate_json(line))
        except ValidationError as error:
            raise ArchiveError(
                f"{path}, line {number}: {first_problem(error)}; restore it with `git checkout`"
            ) from error
    return tuple(values)


def read_shipped(path: Path, model: type[M], mend: str) -> M:
    """Read one value from a file that ships with archer. Raises ArchiveError that names the file and says `mend`."""
    try:
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read ({error.strerror}); {mend}") from error
    except ValidationError as error:
        raise ArchiveError(f"{path}: {first_problem(error)}; {mend}") from error


def first_problem(error: ValidationError) -> str:
    """The first problem of a validation error, as one line."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(map(str, problem["loc"]))
    return f"{where}: {problem['msg']}" if where else str(problem["msg"])
