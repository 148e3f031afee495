"""What runs in a candidate's process after lock-down: a server for one kernel, or a training run.

Nothing that this process says counts for more than the numbers in it: the checks and the scores are made by archer.
"""

import importlib
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from evaluator.fence import ALLOWED_MODULES
from evaluator.sandbox.attacks import attempt
from evaluator.sandbox.frames import Channel, PeerGone
from evaluator.sandbox.gpu_memory import bound_here
from evaluator.sandbox.loading import describe, load_kernel, plain
from evaluator.sandbox.memory_files import DoesNotFit, extents, offsets
from evaluator.sandbox.padding import AnyLength
from evaluator.sandbox.server import KernelServer
from evaluator.sandbox.work import WorkCounter

REQUEST_CAP = 2**36


def prepare() -> None:
    """Trusted imports and settings, done once in the template."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The given buffer is not writable")  # what archer asks is read-only
    tempfile.tempdir = os.environ["TMPDIR"]  # else it is looked for by writing, on import of some parts of torch
    for module in sorted(ALLOWED_MODULES):
        importlib.import_module(module)


def warm_up() -> None:
    """Have torch set up what it sets up at its first uses, so that no candidate pays for it."""
    with WorkCounter():
        torch.linalg.solve_triangular(torch.eye(2), torch.ones(2, 1), upper=False)


def serve(mode: str, channel: Channel, device: str, gpu_bytes: int) -> None:
    """Answer requests until archer closes the channel. gpu_bytes: the most that tensors may take of a GPU."""
    torch.seed()  # the template's random state is every child's: two fresh processes shall not agree by that
    # what torch.empty gives is filled, so that no call finds there what an earlier one, or the trainer, let go of;
    # the public function would import torch's compiler first
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    if device.startswith("cuda") and mode != "attack":
        bound_here(gpu_bytes)
    try:
        channel.send({"started": True}, {})
        MODES[mode](channel, device)
    except PeerGone:
        return


def _serve_kernel(channel: Channel, device: str) -> None:
    server: KernelServer | None = None
    while True:
        body, tensors = channel.receive(REQUEST_CAP, copy=False)
        reply: dict[str, Any] = {}
        out: dict[str, Tensor] = {}
        try:
            if server is None:
                server = KernelServer(
                    load_kernel(body["name"], body["source"], body["function"]), device, channel.outbox
                )
            else:
                reply, out = server.answer(body, tensors)
        except Exception as error:  # noqa: BLE001 - any exception of the variant's is an answer
            reply = describe(error)
        shown = extents(tensors.values()) if body.get("echo") else []
        *_, start = offsets(shown)
        try:
            channel.send({"nonce": body["nonce"], **reply}, out, start=start)
        except DoesNotFit as error:
            channel.send({"nonce": body["nonce"], "error": {"kind": "garbage", "message": str(error)}}, {})


def _serve_training(channel: Channel, device: str) -> None:
    from evaluator.training import ensemble, train  # imported before the fork, and only where one trains

    body, data = channel.receive(REQUEST_CAP, copy=False)

    def report(progress: Mapping[str, Any]) -> None:
        channel.send({"progress": dict(progress)}, {})

    try:
        kernel = AnyLength(plain(load_kernel(body["name"], body["source"], body["function"])))
        run = ensemble.train if "members" in body["job"] else train.train
        weights = run(body["job"], data, kernel, report)
    except Exception as error:  # noqa: BLE001 - any exception in here may be the variant's doing
        channel.send(describe(error), {})
    else:
        channel.send({"weights": True}, weights)


def _serve_attacks(channel: Channel, device: str) -> None:
    while True:
        body, _ = channel.receive(REQUEST_CAP)
        channel.send({"stopped": attempt(body["attacks"], body["decoy"])}, {})


MODES: dict[str, Callable[[Channel, str], None]] = {
    "kernel": _serve_kernel,
    "train": _serve_training,
    "attack": _serve_attacks,
}
