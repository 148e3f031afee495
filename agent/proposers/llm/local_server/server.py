"""A model server on this machine for `--gguf`: llama.cpp in a child process, for as long as archer needs it.

The child gets a fresh environment without any key, a random password of its own over a pipe, and ends with archer:
when the pipe closes, for whatever reason, it exits.
"""

import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from queue import Empty, Queue
from types import TracebackType
from typing import Any, Self

from agent.proposers.llm.configuration.settings import Form, LLMSettings, form_for
from agent.proposers.llm.errors import EndpointError
from evaluator.cores import usable_cores

START_SECONDS = 180.0
STOP_SECONDS = 5.0

TOKENS: dict[Form, tuple[int, int]] = {"structured": (3072, 1024), "code": (8192, 6144)}
"""Prompt and reply where the user sets no budget: short for small models, whose prompts a CPU reads slowly."""

_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT", "CUDA_VISIBLE_DEVICES")


class LocalServer:
    """Context manager: serves one GGUF file on 127.0.0.1 to `slots` asks at a time, once `settings` are asked for."""

    def __init__(self, gguf: Path, slots: int = 1) -> None:
        self.gguf = gguf
        self.slots = slots
        self._key = secrets.token_urlsafe(24)
        self._child: subprocess.Popen[str] | None = None

    def settings(self, **options: object) -> LLMSettings:
        """Start the server with the context that these options need, and return the settings to ask it with.

        `options` are those of LLMSettings, None where not given. Raises EndpointError, with what to do, where the
        server does not come up.
        """
        given = {name: value for name, value in options.items() if value is not None}
        own: dict[str, Any] = {"base_url": "http://127.0.0.1/v1", "model": self.gguf.stem, "free": True}
        wanted = LLMSettings.resolve({}, self._key, **(own | given))
        prompt, reply = TOKENS[form_for(wanted, self.gguf.stem)]
        budget: dict[str, Any] = {"context_tokens": prompt, "reply_tokens": reply} | given
        address = self._start(int(budget["context_tokens"]) + int(budget["reply_tokens"]))
        return LLMSettings.resolve({}, self._key, **(own | budget | {"base_url": f"{address}/v1"}))

    def __enter__(self) -> Self:
        """Raises EndpointError where there is nothing to serve, or nothing to serve it with."""
        if not self.gguf.is_file():
            raise EndpointError(f"--gguf {self.gguf}: no such file; download a model in GGUF form and name it here")
        if importlib.util.find_spec("xllamacpp") is None:
            raise EndpointError("--gguf needs the local extra: in archer's folder, pip install -e '.[local]'")
        return self

    def _start(self, context: int) -> str:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
            self._child = self._spawn(log, context)
            address = self._hear(self._child)
            if address is None:
                log.seek(0)
                last = " ".join(log.read().split())[-300:]
                raise EndpointError(f"--gguf {self.gguf}: the model does not load; llama.cpp says: {last or 'nothing'}")
        return address

    def _spawn(self, log: Any, context: int) -> "subprocess.Popen[str]":
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # Without it, waiting OpenMP threads spin, and generation falls below a token a second on a busy machine.
        environment["OMP_WAIT_POLICY"] = "passive"
        child = subprocess.Popen(
            [sys.executable, "-m", "agent.proposers.llm.local_server.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            cwd=Path(__file__).parents[4],
            text=True,
            start_new_session=True,  # Ctrl-C is archer's to handle: asks end first, the server after them
        )
        assert child.stdin is not None
        options = {
            "gguf": str(self.gguf.absolute()),
            "alias": self.gguf.stem,
            "key": self._key,
            "context": context * self.slots,  # llama.cpp divides it among its slots
            "slots": self.slots,
            "threads": usable_cores(),  # llama.cpp counts those of the machine, and each waits for the slowest
        }
        child.stdin.write(json.dumps(options) + "\n")
        child.stdin.flush()
        return child

    def _hear(self, child: "subprocess.Popen[str]") -> str | None:
        """The address that the child prints once it serves; None where it ends or takes too long."""
        heard: Queue[str] = Queue()
        assert child.stdout is not None
        threading.Thread(target=lambda: heard.put(child.stdout.readline()), daemon=True).start()  # type: ignore[union-attr]
        try:
            return heard.get(timeout=START_SECONDS).strip() or None
        except Empty:
            return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server."""
        child = self._child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        self._child = None
