"""What runs in a candidate's process after lock-down: a server for one kernel, or a training run.

Nothing that this process says counts for more than the numbers in it: the checks and the scores are made by archer.
"""

import builtins
import importlib
import linecache
import os
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from evaluator.fence import ALLOWED_BUILTINS, ALLOWED_MODULES
from evaluator.kernel import Kernel
from evaluator.sandbox.attacks import attempt
from evaluator.sandbox.frames import Channel, PeerGone
from evaluator.sandbox.work import WorkCounter

REQUEST_CAP = 2**36
MESSAGE_CAP = 4000

Answer = tuple[dict[str, Any], dict[str, Tensor]]


def prepare() -> None:
    """Trusted imports and settings, done once in the template."""
    torch.set_num_threads(1)
    tempfile.tempdir = os.environ["TMPDIR"]  # else it is looked for by writing, on import of some parts of torch
    for module in sorted(ALLOWED_MODULES):
        importlib.import_module(module)


def warm_up() -> None:
    """Have torch import what it imports at the first gradient and the first dispatch mode, which takes seconds."""
    importlib.import_module("torch.fx.experimental.symbolic_shapes")
    with WorkCounter():
        torch.linalg.solve_triangular(torch.eye(2), torch.ones(2, 1), upper=False)


def serve(mode: str, fd: int, device: str) -> None:
    """Answer requests on `fd` until archer closes it."""
    channel = Channel(fd)
    torch.seed()  # the template's random state is every child's: two fresh processes shall not agree by that
    try:
        channel.send({"started": True}, {})
        MODES[mode](channel, device)
    except PeerGone:
        return


def _serve_kernel(channel: Channel, device: str) -> None:
    server: KernelServer | None = None
    while True:
        body, tensors = channel.receive(REQUEST_CAP)
        reply: dict[str, Any] = {}
        out: dict[str, Tensor] = {}
        try:
            if server is None:
                server = KernelServer(load_kernel(body["name"], body["source"], body["function"]), device)
            else:
                reply, out = server.answer(body, tensors)
        except Exception as error:  # noqa: BLE001 - any exception of the variant's is an answer
            reply = describe(error)
        channel.send({"nonce": body["nonce"], **reply}, out)


class KernelServer:
    """Calls a kernel, and keeps the autograd graphs of the calls that may be asked for gradients."""

    def __init__(self, kernel: Kernel, device: str) -> None:
        self.kernel, self.device = kernel, device
        self.graphs: dict[str, tuple[list[Tensor], list[Tensor]]] = {}

    def answer(self, body: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Answer:
        """The reply to one request, as a body and tensors."""
        for call in body["released"]:
            self.graphs.pop(call, None)
        moved = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        if body["op"] == "forward":
            return self._forward(body, list(moved.values()))
        return {}, self._backward(body["call"], moved)

    def _forward(self, body: Mapping[str, Any], inputs: list[Tensor]) -> Answer:
        counter = WorkCounter()
        random_state = torch.get_rng_state() if body["echo"] else None
        with torch.set_grad_enabled(body["grad"]), counter if body["count"] else nullcontext():
            leaves = [x.requires_grad_(body["grad"] and x.is_floating_point()) for x in inputs]
            # a mixer's activations are not leaves: what may be done to them may be done here
            given = [x.clone() for x in leaves] if body["grad"] else leaves
            result = self.kernel(*given, chunk_size=body["chunk_size"])
        outputs, complaint = _outputs(result)
        if complaint:
            return {"error": {"kind": "garbage", "message": complaint}}, {}
        if body["grad"]:
            self.graphs[body["nonce"]] = (leaves, outputs)
        echo = {f"in{i}": x for i, x in enumerate(given)} if body["echo"] else {}
        random = random_state is not None and not torch.equal(random_state, torch.get_rng_state())
        return {"random": random, "work": counter.work}, {"o": outputs[0], "S": outputs[1], **echo}

    def _backward(self, call: str, grads: Mapping[str, Tensor]) -> dict[str, Tensor]:
        leaves, outputs = self.graphs[call]
        pairs = [(x, grads[name]) for name, x in zip("oS", outputs, strict=True) if name in grads and x.requires_grad]
        wanted = [x for x in leaves if x.requires_grad]
        if not pairs or not wanted:
            return {}
        heads, seeds = zip(*pairs, strict=True)
        found = torch.autograd.grad(heads, wanted, seeds, allow_unused=True, retain_graph=True)
        index = {id(x): i for i, x in enumerate(leaves)}
        return {f"in{index[id(x)]}": grad for x, grad in zip(wanted, found, strict=True) if grad is not None}


def _outputs(result: Any) -> tuple[list[Tensor], str]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        return [], f"the kernel returned {_kind(result)}, not the pair (o, S)"
    if not all(isinstance(x, Tensor) for x in result):
        return [], f"the kernel returned ({', '.join(_kind(x) for x in result)}), not the tensors (o, S)"
    return list(result), ""


def _kind(value: Any) -> str:
    size = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"{type(value).__name__}{size}"


def _serve_training(channel: Channel, device: str) -> None:
    from evaluator import training  # imported before the fork, and only where one trains

    body, data = channel.receive(REQUEST_CAP)

    def report(progress: Mapping[str, Any]) -> None:
        channel.send({"progress": dict(progress)}, {})

    try:
        kernel = load_kernel(body["name"], body["source"], body["function"])
        weights = training.train(body["job"], data, kernel, report)
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


def load_kernel(name: str, source: str, function: str) -> Kernel:
    """Execute a variant's source with the fence's names only, and return its kernel.

    The fence has judged the source already; this holds it to that, should the fence have missed an alias.
    """
    filename = f"<{name}.py>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module = types.ModuleType(name)
    sys.modules[name] = module
    module.__dict__["__builtins__"] = {
        **{known: getattr(builtins, known) for known in ALLOWED_BUILTINS},
        "__import__": _import,
        "__build_class__": builtins.__build_class__,
    }
    exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)
    kernel: Kernel = getattr(module, function)
    return kernel


def _import(name: str, *where: Any, **how: Any) -> types.ModuleType:
    # torch's C++ code imports parts of torch with the calling frame's builtins, which are these
    if name not in ALLOWED_MODULES and not name.startswith("torch."):
        raise ImportError(f"a variant may not import {name}")
    return __import__(name, *where, **how)


def describe(error: Exception) -> dict[str, Any]:
    """An exception of the variant's as a reply: its kind, and where in the variant's file it was raised."""
    if isinstance(error, FloatingPointError):
        return {"error": {"kind": "diverged", "message": str(error)[:MESSAGE_CAP]}}
    out_of_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
    lines = [f"line {frame.lineno}" for frame in traceback.extract_tb(error.__traceback__) if frame.filename[0] == "<"]
    where = f" ({lines[-1]} of the variant)" if lines else ""
    message = f"{type(error).__name__}: {error}{where}"[:MESSAGE_CAP]
    return {"error": {"kind": "memory" if out_of_memory else "crash", "message": message}}
