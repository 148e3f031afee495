"""The process behind `LocalServer`: reads its options from standard input, serves, and ends when that closes."""

import importlib
import json
import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Serve until standard input closes; print the address once the model is loaded."""
    signal.signal(signal.SIGTERM, _end)
    options = json.loads(sys.stdin.readline())
    xllamacpp = importlib.import_module("xllamacpp")  # an optional extra, and only ever loaded in this child
    params = xllamacpp.CommonParams()
    params.model.path = options["gguf"]
    params.model_alias = {options["alias"]}
    params.api_keys = [options["key"]]
    params.port = 0
    params.ui = False
    params.offline = True
    params.n_ctx = options["context"]
    params.n_parallel = options["slots"]
    params.cpuparams.n_threads = options["threads"]
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    _end()


def _end(signum: int | None = None, frame: FrameType | None = None) -> None:
    # No unwinding: llama.cpp's own shutdown waits for requests under way.
    os._exit(0)


if __name__ == "__main__":
    main()
