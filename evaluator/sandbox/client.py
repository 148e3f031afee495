"""A kernel that runs in a candidate's process, as an ordinary differentiable function in ours."""

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from evaluator.outcomes import Failure
from evaluator.sandbox.candidate import SandboxedProcess
from evaluator.sandbox.frames import DeadlinePassed, FrameError, PeerGone
from evaluator.sandbox.limits import Limits, VariantFailed
from evaluator.sandbox.memory_files import extents, offsets
from variants.contract import Variant

SLACK = 2**20
PLACE_CAP = 200
MOST_NUMBERS = 2**40
DIMENSIONS = 8
PATIENCE = 4
"""How many times as long a call, or a training, may take as its limit says, if others keep it from the processor."""
FAILURE_KINDS = ("crash", "memory", "garbage", "diverged")


@dataclass(frozen=True)
class Reply:
    """The answer to one forward call, with what only the checks ask for.

    inputs: where asked for, the inputs as the call left them, read from the memory that the kernel had them in.
    random: whether the global random generator moved. work: operations and numbers computed, where asked for. fed: the
    length that the kernel was called with, padded, where it does not take the inputs'; else 0. These three are the
    candidate's word.
    """

    call: str
    o: Tensor
    S: Tensor
    inputs: tuple[Tensor, ...]
    random: bool
    work: int
    fed: int


class KernelClient:
    """Calls a variant's kernel in the sandbox: `client(q, k, v, beta, chunk_size=32) -> (o, S)`.

    A call gives o like v in shape and dtype, and raises VariantFailed where it cannot; what `forward` gives is the
    variant's own: check it. Every call may raise VariantFailed, after which the client is of no further use. Backward
    works once or more, not twice differentiably. One call at a time.
    """

    def __init__(self, candidate: SandboxedProcess, variant: Variant, limits: Limits, device: str = "cpu") -> None:
        self._candidate, self._limits, self.device = candidate, limits, device
        self._lock = threading.Lock()
        self._released: list[str] = []
        self._chunk_sizes: dict[str, int] = {}
        self.cpu_seconds = 0.0
        """CPU time of the kernel's process, once it has ended."""
        function = variant.contract.function
        with _during(during="import", device=device):
            self._request({"name": variant.name, "source": variant.source, "function": function}, {}, SLACK)

    def __call__(self, *inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        """Run the kernel; gradients flow back to the inputs that require them."""
        if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
            o, S = _Remote.apply(self, chunk_size, *inputs)  # type: ignore[no-untyped-call]
            return o, S
        reply = self.well_formed(inputs, chunk_size=chunk_size)
        return reply.o, reply.S

    def well_formed(self, inputs: tuple[Tensor, ...], *, chunk_size: int = 32, grad: bool = False) -> Reply:
        """Run the kernel once, and take nothing but an o like v in shape and dtype."""
        reply, v = self.forward(inputs, chunk_size=chunk_size, grad=grad), inputs[2]
        if reply.o.shape != v.shape or reply.o.dtype != v.dtype:
            self._garbage(f"o is {reply.o.dtype} {tuple(reply.o.shape)} where v is {v.dtype} {tuple(v.shape)}")
        return reply

    def forward(
        self,
        inputs: tuple[Tensor, ...],
        *,
        chunk_size: int = 32,
        grad: bool = False,
        echo: bool = False,
        count: bool = False,
    ) -> Reply:
        """Run the kernel once. grad: keep its graph. echo: ask for the inputs back. count: ask for the work."""
        sizes = sum(x.numel() for x in inputs)
        state = inputs[0].shape[:2].numel() * inputs[0].shape[-1] * inputs[2].shape[-1]
        cap = 8 * (4 * sizes + 4 * state) + SLACK
        request = {"op": "forward", "chunk_size": chunk_size, "grad": grad, "echo": echo, "count": count}
        tensors = {f"in{i}": x.detach() for i, x in enumerate(inputs)}
        found = extents(inputs) if echo else []
        *places, start = offsets(found)
        with self._called("forward", inputs, chunk_size):
            body, out = self._request(request, tensors, cap, start)
            work, fed = body.get("work"), body.get("fed")
            if sorted(out) != ["S", "o"] or type(work) is not int or type(fed) is not int:
                self._garbage("an answer of another form")
        o, S = (out[name].to(inputs[0].device) for name in "oS")
        if grad:
            self._chunk_sizes[body["nonce"]] = chunk_size
        left = tuple(self._candidate.channel.inbox.take(at, x) for at, x in zip(places, found, strict=True))
        return Reply(body["nonce"], o, S, left, bool(body.get("random")), work, fed)

    def cpu_seconds_so_far(self) -> float:
        """CPU time of the kernel's process up to now, measured from outside. Raises SandboxUnavailable."""
        return self._candidate.cpu_seconds()

    def backward(self, call: str, grads: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> list[Tensor | None]:
        """Gradients of a `forward(grad=True)`: one per input, None where none reaches it. grads: of "o" and "S"."""
        cap = 8 * sum(x.numel() for x in inputs) + SLACK
        with self._called("backward", inputs, self._chunk_sizes.get(call, 0)):
            _, out = self._request({"op": "backward", "call": call}, grads, cap)
        found = [out.pop(f"in{i}", None) for i in range(len(inputs))]
        if out or any(g is not None and g.shape != x.shape for g, x in zip(found, inputs, strict=True)):
            self._garbage("gradients of other shapes than the inputs'")
        return [g if g is None else g.to(x.device, x.dtype) for g, x in zip(found, inputs, strict=True)]

    def release(self, call: str) -> None:
        """Let go of the graph of a `forward(grad=True)`."""
        self._released.append(call)
        self._chunk_sizes.pop(call, None)

    def locate(
        self, what: Literal["change", "device"], inputs: tuple[Tensor, ...], *, chunk_size: int
    ) -> tuple[int, str]:
        """Where in the file an input changes first, or what only a CPU does: a line, 0 if not known, and what is there.

        Empty where there is nothing of the kind. The candidate's word: for messages.
        """
        tensors = {f"in{i}": x.detach() for i, x in enumerate(inputs)}
        with self._called("forward", inputs, chunk_size):
            body, _ = self._request({"op": "locate", "what": what, "chunk_size": chunk_size}, tensors, SLACK)
        line, found = body.get("line"), body.get("what")
        if type(line) is not int or not isinstance(found, str):
            self._garbage("an answer of another form")
        return line, found[:PLACE_CAP]

    def held(
        self, names: tuple[str, ...], head: tuple[int, int], inputs: tuple[Tensor, ...], *, chunk_size: int
    ) -> dict[str, tuple[int, tuple[int, ...]]] | None:
        """What the kernel's loop holds under some names when it is at its head for the last time; head: its lines.

        Numbers, and the shape of a single tensor, by name; None where that cannot be told. The candidate's word.
        """
        request = {"op": "held", "names": names, "head": head, "chunk_size": chunk_size}
        with self._called("forward", inputs, chunk_size):
            body, _ = self._request(request, {f"in{i}": x.detach() for i, x in enumerate(inputs)}, SLACK)
        found = body.get("held")
        if found is None:
            return None
        try:
            return {name: _held(found[name]) for name in names if name in found}
        except (TypeError, ValueError):
            self._garbage("an answer of another form")

    def _called(self, which: str, inputs: tuple[Tensor, ...], chunk_size: int) -> AbstractContextManager[None]:
        q, v = inputs[0], inputs[2]
        dtype = str(q.dtype).removeprefix("torch.")
        shape = [*q.shape, v.shape[-1]]
        return _during(during=which, dtype=dtype, shape=shape, device=self.device, chunk_size=chunk_size)

    def _request(
        self, request: Mapping[str, Any], tensors: Mapping[str, Tensor], cap: int, start: int = 0
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        nonce = secrets.token_hex(8)
        channel = self._candidate.channel
        with self._lock:
            released, self._released = self._released, []
            try:
                channel.send({"nonce": nonce, "released": released, **request}, tensors, self._deadline())
                self._await_answer()
                body, out = channel.receive(cap, self._deadline(), start=start)
            except DeadlinePassed:
                self._candidate.kill("timeout")
                message = f"no answer within {self._limits.wall_seconds:g} s"
                raise VariantFailed(Failure(kind="timeout", message=message)) from None
            except PeerGone:
                raise VariantFailed(self._candidate.failure()) from None
            except FrameError as error:
                self._garbage(str(error))
        if body.get("nonce") != nonce:
            self._garbage("an answer to another question")
        if (told := body.get("error")) is not None:
            raise VariantFailed(failure_of(told))
        return body, out

    def _deadline(self) -> float:
        return time.monotonic() + self._limits.wall_seconds

    def _await_answer(self) -> None:
        """Wait as long as the limits say, and longer while the kernel did not get the processor for most of that time.

        Raises DeadlinePassed.
        """
        quarter = self._limits.wall_seconds / 4
        if self._candidate.channel.answers_within(quarter):
            return
        before = self._candidate.cpu_seconds()
        for waited in range(1, 4 * PATIENCE):
            if self._candidate.channel.answers_within(quarter):
                return
            if waited >= 3 and self._candidate.cpu_seconds() - before > 0.9 * 3 * quarter:
                break
        raise DeadlinePassed

    def _garbage(self, what: str) -> NoReturn:
        self._candidate.kill("garbage")
        raise VariantFailed(Failure(kind="garbage", message=what))


def _held(told: Any) -> tuple[int, tuple[int, ...]]:
    """Numbers and shape as the candidate tells them. Raises TypeError or ValueError for anything else."""
    numbers, shape = told
    if not all(type(size) is int and 0 <= size < MOST_NUMBERS for size in (numbers, *shape)) or len(shape) > DIMENSIONS:
        raise ValueError("no sizes")
    return numbers, tuple(shape)


@contextmanager
def _during(**call: object) -> Iterator[None]:
    """Note on a variant's failure what the kernel was doing."""
    try:
        yield
    except VariantFailed as error:
        error.call = call
        raise


def failure_of(error: Any) -> Failure:
    """A failure as the candidate tells it, in a form that can be trusted to be one."""
    known = isinstance(error, dict) and error.get("kind") in FAILURE_KINDS and isinstance(error.get("message"), str)
    return Failure(**error) if known and len(error) == 2 else Failure(kind="garbage", message="a malformed error")


class _Graph:
    """Held by an autograd node: once nothing can ask for its gradients, the candidate may forget the call."""

    def __init__(self, client: KernelClient, call: str) -> None:
        self.client, self.call = client, call

    def __del__(self) -> None:
        self.client.release(self.call)


class _Remote(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, client: KernelClient, chunk_size: int, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        reply = client.well_formed(inputs, chunk_size=chunk_size, grad=True)
        ctx.graph = _Graph(client, reply.call)
        ctx.inputs = tuple(x.detach() for x in inputs)
        ctx.set_materialize_grads(False)
        return reply.o, reply.S

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_o: Tensor | None, grad_S: Tensor | None) -> tuple[Any, ...]:
        grads = {name: grad for name, grad in (("o", grad_o), ("S", grad_S)) if grad is not None}
        found = ctx.graph.client.backward(ctx.graph.call, grads, ctx.inputs) if grads else [None] * len(ctx.inputs)
        return (None, None, *found)
