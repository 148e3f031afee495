"""What is large: each input is read in a process of its own, within a limit on its memory and on its time.

The limits are those that docs/results/bad_files.md states. An input is no larger than what the reader lets in: what is
larger than that is refused after as many bytes.
"""

import asyncio
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from agent.errors import UserError
from agent.proposers.llm.bookkeeping.journal import Journal
from agent.proposers.llm.bookkeeping.prices import PriceTable
from agent.proposers.llm.configuration.scrub import Scrubber
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.completion import completion_of
from agent.proposers.llm.endpoint.faults import Fault
from agent.proposers.llm.endpoint.transport import LONGEST_REPLY, Transport
from agent.proposers.llm.reply.read import BadReply, CodeReply, read_reply
from archive.errors import ArchiveError, LeaderboardError
from archive.files import LARGEST, read_json, read_lines
from archive.tables.foreign_csv import read_foreign_leaderboard
from benchmarks.bad_files.given import judged
from benchmarks.bad_files.rule import with_memory
from evaluator.outcomes import Trial
from evaluator.tasks.registry import MAD_TASKS

MEMORY, SECONDS, PATIENCE = 2 << 30, 120, 1200.0
"""Bytes and CPU-seconds that reading may take, and seconds of a busy machine for which an answer is waited for."""
REFUSALS = (UserError, ArchiveError, LeaderboardError, BadReply)
URL = "http://127.0.0.1:9/v1"
READ, ERROR = "read", "error"
Large = tuple[Callable[[], bytes], Callable[[Path], object]]


def inputs() -> dict[str, Large]:
    """What is fed, and to whom, by name."""
    header = b"name," + ",".join(MAD_TASKS).encode() + b"\n"
    return {
        "variant file of 100 MB in a line": (lambda: b"x=" + b"1" * 100_000_000, judged),
        "variant file, 200,000 brackets": (lambda: b"(" * 200_000, judged),
        "variant file, 199,000 digits": (lambda: b"x = " + b"9" * 199_000, judged),
        "variant file, 190,000 unary signs": (lambda: b"x = " + b"-" * 190_000 + b"1", judged),
        "variant file, a sum of 60,000 terms": (lambda: b"x = " + b"1+" * 60_000 + b"1", judged),
        "variant file, 49,000 statements": (lambda: b"x=1\n" * 49_000, judged),
        "CSV of 100 MB in a line": (lambda: header + b"a" * 100_000_000, read_foreign_leaderboard),
        "CSV of 60 MB, 5,000,000 rows": (lambda: header + b"a,,,,,,\n" * 5_000_000, read_foreign_leaderboard),
        "CSV, a header of 1,000,000 columns": (
            lambda: header[:-1] + b",x" * 1_000_000 + b"\na,1\n",
            read_foreign_leaderboard,
        ),
        "record of 63 MB, empty lists": (lambda: b'{"a":[' + b"[]," * 21_000_000 + b"[]]}", read_json),
        "record, 30,000,000 brackets": (lambda: b"[" * 30_000_000, read_json),
        "record, a number of 60,000,000 digits": (lambda: b'{"a":' + b"9" * 60_000_000 + b"}", read_json),
        "trials of 60 MB in a line": (
            lambda: b'{"variant":"' + b"x" * 60_000_000 + b'"}',
            lambda path: read_lines(path, Trial),
        ),
        "trials, 30,000,000 empty lines": (lambda: b"\n" * 30_000_000, lambda path: read_lines(path, Trial)),
        "prices, 1,000,000 brackets": (lambda: b"a = " + b"[" * 1_000_000, PriceTable.read),
        "prices, 20,000 tables": (
            lambda: b"".join(b"[models.m%d]\ninput=1\noutput=1\n" % at for at in range(20_000)),
            PriceTable.read,
        ),
        "prices, a name of 200,000 parts": (lambda: b"a" + b".a" * 200_000 + b" = 1", PriceTable.read),
        "journal, a line of 100 MB": (lambda: b'{"hash":"' + b"x" * 100_000_000, Journal),
        "completion of 31 MB": (lambda: b'{"choices":[' + b"{}," * 10_000_000 + b"{}]}", _answered),
        "completion of endless bytes": (lambda: b"x" * (LONGEST_REPLY + 1_000_000), _answered),
        "stream, one line of 31 MB": (lambda: b"data: " + b"x" * 31_000_000, _answered),
        "stream, 5,000,000 lines of one event": (lambda: b"data: x\n" * 3_900_000, _answered),
        "stream, 200,000 events": (
            lambda: b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n' * 200_000 + b"data: [DONE]\n",
            _answered,
        ),
        "reply, 1,000,000 braces": (lambda: b'{"a":' * 1_000_000, _replied),
        "reply, 200,000 fences": (lambda: b"```python\nx\n" * 200_000, _replied),
        "reply, 1,000,000 quotation marks": (lambda: b'{"code": ' + b'"' * 1_000_000, _replied),
        "reply, 300,000 marks of thinking": (lambda: b"<think>" * 300_000 + b"</think>" * 3_000, _replied),
        "reply, 1,000,000 backslashes": (lambda: b'{"code": "' + b"\\" * 1_000_000, _replied),
        "reply, 100,000 objects": (lambda: b'{"insights": ["a"], "parent": "b"} ' * 100_000, _replied),
    }


def look_at_all() -> bool:
    """Print a line of a table for each input; returns whether all were read, or refused in one line."""
    print("\n| input | how reading it ends | CPU s | MiB more than before |\n|---|---|---:|---:|")
    right = True
    for name, given in inputs().items():
        end, seconds, mib = measured(given)
        right &= end.startswith((READ, ERROR))
        print(f"| {name} | {end.replace('|', ' ')} | {seconds:.1f} | {mib:.0f} |", flush=True)
    return right


def measured(given: Large) -> tuple[str, float, float]:
    """How reading ended, seconds of CPU, and MiB beside the program itself. Run in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(given, theirs))
    child.start()
    theirs.close()
    try:
        found: tuple[str, float, float] = ours.recv() if ours.poll(PATIENCE) else ("it waits", 0.0, 0.0)
    except EOFError:
        found = ("it was killed: too long, or too large", SECONDS, 0.0)
    child.kill()
    child.join()
    return found


def _measure(given: Large, answer: Any) -> None:
    make, read = given
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "given_file.py")
        path.write_bytes(make())
        with_memory(MEMORY)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        before, began = _resident(), time.process_time()
        try:
            read(path)
            end = READ
        except REFUSALS as error:
            end = f"{ERROR}: …{' '.join(str(error).split())[-90:]}"
        except BaseException as error:  # noqa: BLE001 - whatever it is, it breaks the rule
            end = f"DEFECT {type(error).__name__}: {str(error)[:200]}"
        answer.send((end, time.process_time() - began, max(0.0, _resident() - before)))


def _resident() -> float:
    """The most MiB that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _answered(path: Path) -> object:
    async def pieces() -> AsyncIterator[bytes]:
        with path.open("rb") as stream:
            while piece := stream.read(1 << 16):
                yield piece

    found = asyncio.run(
        Transport(LLMSettings(base_url=URL, model="A"), Scrubber("a-long-key-of-x"))._read(pieces(), {})
    )
    if isinstance(found, Fault):
        raise UserError(found.message)
    return json.dumps(found), completion_of(found)


def _replied(path: Path) -> object:
    return read_reply(path.read_text(), "stop", CodeReply, MAD_TASKS)


assert LARGEST == 64 << 20, "the inputs above are as large as what is let in"
