"""Calling a kernel in a candidate's process, for archer at the other end of a channel."""

import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.sandbox.inspection import device_problem, held_at_head, inplace_error, line_that_changes
from evaluator.sandbox.memory_files import Memory, extents, offsets
from evaluator.sandbox.padding import AnyLength
from evaluator.sandbox.work import WorkCounter

Answer = tuple[dict[str, Any], dict[str, Tensor]]


class _Graph(NamedTuple):
    leaves: list[Tensor]
    outputs: list[Tensor]
    chunk_size: int


class KernelServer:
    """Calls a kernel, and keeps the autograd graphs of the calls that may be asked for gradients."""

    def __init__(self, kernel: Kernel, device: str, memory: Memory) -> None:
        self.kernel, self.device, self.memory = AnyLength(kernel), device, memory
        self.graphs: dict[str, _Graph] = {}

    def answer(self, body: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Answer:
        """The reply to one request, as a body and tensors."""
        for call in body["released"]:
            self.graphs.pop(call, None)
        moved = {name: tensor.to(self.device) for name, tensor in tensors.items()}
        if body["op"] == "forward":
            return self._forward(body, list(moved.values()))
        if body["op"] == "locate":
            return self._locate(body, list(moved.values())), {}
        if body["op"] == "held":
            return self._held(body, list(moved.values())), {}
        return {}, self._backward(body["call"], moved)

    def _locate(self, body: Mapping[str, Any], inputs: list[Tensor]) -> dict[str, Any]:
        """Where in the file something happens: the first change of an input, or what no other device can do."""
        given = [x.clone() for x in inputs]
        look = {"change": line_that_changes, "device": device_problem}[body["what"]]
        return look(self.kernel.kernel, given, body["chunk_size"])._asdict()

    def _held(self, body: Mapping[str, Any], inputs: list[Tensor]) -> dict[str, Any]:
        """What the kernel's loop holds under some names, at its head."""
        first, last = body["head"]
        lines = range(first, last + 1)
        found = held_at_head(self.kernel.kernel, inputs, body["chunk_size"], body["names"], lines)
        return {"held": found and {name: [held.numbers, held.shape] for name, held in found.items()}}

    def _forward(self, body: Mapping[str, Any], inputs: list[Tensor]) -> Answer:
        counter = WorkCounter()
        random_state = torch.get_rng_state() if body["echo"] else None
        with torch.set_grad_enabled(body["grad"]), counter if body["count"] else nullcontext():
            leaves = [x.requires_grad_(body["grad"] and x.is_floating_point()) for x in inputs]
            # copies, since a mixer's activations are not leaves either: what may be done to them may be done here
            given = self._shown(leaves) if body["echo"] else [x.clone() for x in leaves]
            result = self.kernel(*given, chunk_size=body["chunk_size"])
        outputs, complaint = _outputs(result)
        if complaint:
            return {"error": {"kind": "garbage", "message": complaint}}, {}
        if body["grad"] and not body["echo"]:
            self.graphs[body["nonce"]] = _Graph(leaves, outputs, body["chunk_size"])
        if body["echo"] and self.device != "cpu":
            self._shown(given)
        random = random_state is not None and not torch.equal(random_state, torch.get_rng_state())
        fed = self.kernel.fed_lengths.get((inputs[0].shape[2], body["chunk_size"]), 0)
        return {"random": random, "work": counter.work, "fed": fed}, {"o": outputs[0], "S": outputs[1]}

    def _shown(self, inputs: list[Tensor]) -> list[Tensor]:
        """The inputs in memory that archer can read, so that it sees for itself what the kernel does to them."""
        found = extents(inputs)
        windows = [self.memory.window(at, x) for at, x in zip(offsets(found), found, strict=False)]
        shown = [window.copy_(x) for window, x in zip(windows, inputs, strict=True)]
        return shown if self.device == "cpu" else [x.clone() for x in inputs]

    def _backward(self, call: str, grads: Mapping[str, Tensor]) -> dict[str, Tensor]:
        leaves, outputs, chunk_size = self.graphs[call]
        pairs = [
            (x, grads[name].clone()) for name, x in zip("oS", outputs, strict=True) if name in grads and x.requires_grad
        ]
        wanted = [x for x in leaves if x.requires_grad]
        if not pairs or not wanted:
            return {}
        # a scalar: torch imports its symbolic shapes, for a third of a second, to look at the shape of anything else
        total = torch.stack([(x * seed).sum() for x, seed in pairs]).sum()
        try:
            found = torch.autograd.grad(total, wanted, allow_unused=True, retain_graph=True)
        except RuntimeError as error:
            if any(frame.filename[0] == "<" for frame in traceback.extract_tb(error.__traceback__)):
                raise  # from a line of the variant's own
            raise inplace_error(self.kernel, leaves, chunk_size, wanted, error) from None
        index = {id(x): i for i, x in enumerate(leaves)}
        return {f"in{index[id(x)]}": grad for x, grad in zip(wanted, found, strict=True) if grad is not None}


def _outputs(result: Any) -> tuple[list[Tensor], str]:
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        return [], f"the kernel returned {_kind(result)}, not the pair (o, S)"
    if not all(type(x) is Tensor for x in result):
        return [], f"the kernel returned ({', '.join(_kind(x) for x in result)}), not the tensors (o, S)"
    return list(result), ""


def _kind(value: Any) -> str:
    size = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"{type(value).__name__}{size}"
