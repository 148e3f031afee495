"""A program as a model, for `--command`: it reads the prompt on standard input and prints the reply.

It runs as the user, with the user's environment, the key included: it is the user's own. It gets a process group of its
own, so that it ends with all that it started when its time is over or archer is stopped.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from agent.listener import tell
from agent.proposers.llm.configuration.scrub import Scrubber, public_command
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.faults import Fault, is_busy, pause_asked
from agent.proposers.llm.endpoint.stream import CHARACTERS_PER_TOKEN

POLL_SECONDS = 0.1
GRACE_SECONDS = 2.0
"""Between asking a program to end and ending it; and for what it left behind to close its output."""
LONGEST_OUTPUT = 8_000_000
LONGEST_COMPLAINT = 500
NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit codes of the shell."""

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_HEADINGS = {"assistant": "Your reply was:", "user": "Now:"}


class CommandTransport:
    """Runs the command once for each request. What it prints has the secrets of its environment scrubbed from it."""

    def __init__(self, settings: LLMSettings, scrubber: Scrubber, environment: Mapping[str, str]) -> None:
        """`environment`: all of the command's."""
        self._command = settings.command or ""
        self._environment = dict(environment)
        self._scrub = scrubber
        self.cancelled = threading.Event()
        """Set from any thread, it ends every command under way."""

    def post(self, payload: dict[str, Any], seconds: float) -> dict[str, Any] | Fault:
        """What the command printed, as a chat completion; or the fault. Returns soon after `seconds`."""
        try:
            with _Run(self._command, self._environment, prompt_text(payload["messages"])) as run:
                stopped = run.wait(seconds, self.cancelled)
        except OSError as error:
            return Fault("refused", f"the command does not start ({error.strerror}); check --command", sent=False)
        if stopped == "cancelled":
            return Fault("cancelled", "cancelled before the command had ended")
        told = self._told(run)
        if stopped:
            return Fault("timeout", f"the command {stopped}{told}")
        return self._answer(run, told)

    def models(self, seconds: float) -> tuple[dict[str, Any], ...] | Fault:
        """The command itself is the only model."""
        return ({"id": public_command(self._command)},)

    def _answer(self, run: "_Run", told: str) -> dict[str, Any] | Fault:
        code = run.code
        text = self._scrub.text(_COLOURS.sub("", run.output)).replace("\r\n", "\n")
        if code in (NOT_EXECUTABLE, NOT_FOUND):
            return Fault("refused", f"the command does not run (exit code {code}){told}; check --command", sent=False)
        if code != 0:
            how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            words = f"{run.complaint} {text if len(text) < LONGEST_COMPLAINT else ''}"
            kind = "busy" if is_busy(words) else "server"
            return Fault(kind, f"the command {how}{told}", retry_after=pause_asked({}, words), said=words)  # type: ignore[arg-type]
        if not text.strip():
            return Fault("garbled", f"the command printed no reply{told}")
        message = {"role": "assistant", "content": text}
        return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    def _told(self, run: "_Run") -> str:
        """The end of what it wrote on standard error, where errors stand."""
        said = " ".join(self._scrub.text(_COLOURS.sub("", run.complaint)).split())
        if not said:
            return ""
        return f"; it says: {said if len(said) <= LONGEST_COMPLAINT else '...' + said[-LONGEST_COMPLAINT:]}"


class _Run:
    """One process group from start to end; leaving the block ends what is left of it."""

    def __init__(self, command: str, environment: Mapping[str, str], prompt: str) -> None:
        self._process = subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C is archer's to handle, and its end reaches the whole group
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = _Pipe(self._process.stdout), _Pipe(self._process.stderr)
        self._writer = threading.Thread(target=_write, args=(self._process.stdin, prompt), daemon=True)
        for thread in (self._out, self._err, self._writer):
            thread.start()

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def code(self) -> int:
        return self._process.returncode

    @property
    def output(self) -> str:
        return self._out.text

    @property
    def complaint(self) -> str:
        return self._err.text

    def wait(self, seconds: float, cancelled: threading.Event) -> str:
        """Until it ends; else why it is to be ended: "cancelled", or in words."""
        until = time.monotonic() + seconds
        while self._process.poll() is None:
            if cancelled.wait(POLL_SECONDS):
                return "cancelled"
            if time.monotonic() >= until:
                return f"did not end within {seconds:.3g} s"
            if self._out.too_long or self._err.too_long:
                return f"printed more than {LONGEST_OUTPUT:,} bytes"
            tell(f"{self._out.size // CHARACTERS_PER_TOKEN:,} tokens of the reply")
        self._out.join(GRACE_SECONDS)  # what it left in the background may hold its output open
        self._err.join(POLL_SECONDS)
        return ""

    def _end(self) -> None:
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()
        for thread in (self._out, self._err, self._writer):
            thread.join(GRACE_SECONDS)

    def _signal(self, number: int) -> None:
        # The group outlives its leader while any of its children does.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class _Pipe(threading.Thread):
    """Reads a pipe to its end, and keeps its beginning."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._pieces: list[bytes] = []
        self.size = 0

    @property
    def too_long(self) -> bool:
        return self.size > LONGEST_OUTPUT

    @property
    def text(self) -> str:
        return b"".join(self._pieces).decode("utf-8", "replace")

    def run(self) -> None:
        with self._pipe:
            while piece := os.read(self._pipe.fileno(), 65536):
                self.size += len(piece)
                if not self.too_long:
                    self._pieces.append(piece)


def _write(pipe: IO[bytes], prompt: str) -> None:
    # A program that does not read all of its prompt may still answer.
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(prompt.encode("utf-8", "replace"))


def prompt_text(messages: Sequence[Mapping[str, str]]) -> str:
    """The messages as one text: a first prompt as it is, what was said after it under headings."""
    first = [message for message in messages[:2] if message["role"] in ("system", "user")]
    parts = [message["content"].strip() for message in first]
    for message in messages[len(first) :]:
        parts.append(f"{_HEADINGS.get(message['role'], '')}\n\n{message['content'].strip()}")
    return "\n\n".join(parts) + "\n"
