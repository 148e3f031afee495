"""Whether torch.compile makes a step cheaper, on the best device there is. In the open: archer's own kernel."""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.timing import interleaved
from evaluator.device import best_device
from evaluator.kernel import Kernel
from evaluator.model.backbones import build
from evaluator.model.layers import initialise
from evaluator.protocols.built_in import MAD, QUICK
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.training.jobs import TrainingJob, sequences_at_once
from variants.contract import Layer
from variants.delta_net_4layer import delta_rule_chunkwise

TASK = "Context Recall"


def compiled(rounds: int) -> None:
    """Milliseconds a step as archer trains, with the layers compiled, and with layers and kernel compiled."""
    device = best_device()
    print(f"On {device}; of `mad`, as many sequences as go through the model together.\n")
    print("| Context Recall of | compiled | first step, CPU-s | a step, ms | as archer trains, ms |")
    print("|---|---|---:|---:|---:|", flush=True)
    apart: Kernel = torch.compiler.disable(delta_rule_chunkwise)
    for what, kernel in (("layers", apart), ("layers and kernel", delta_rule_chunkwise)):
        for protocol in (QUICK, MAD):
            plain = _step(protocol, delta_rule_chunkwise, compile_it=False)
            torch.compiler.reset()
            step = _step(protocol, kernel, compile_it=True)
            began = time.process_time()
            step()
            first = time.process_time() - began
            step()
            found = interleaved({"compiled": step, "plain": plain}, 5 * (rounds + 1))
            row = f"| {protocol.name} | {what} | {first:.1f} | {1e3 * found['compiled']:.1f} |"
            print(f"{row} {1e3 * found['plain']:.1f} |", flush=True)
    print()


def _step(protocol: Protocol, kernel: Kernel, *, compile_it: bool) -> Callable[[], object]:
    spec = trial_specs(protocol, [TASK], [0])[0]
    job: TrainingJob = protocol.job(spec, Layer.DELTA_NET, device=best_device())
    drawn = protocol.training_data(spec)
    size = sequences_at_once(job)
    inputs, targets = (drawn[name][:size].to(job.device) for name in ("inputs", "targets"))
    model = build(job.model, kernel)
    initialise(model, 0)
    model.to(job.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    forward: Callable[[Tensor], Tensor] = torch.compile(model, dynamic=False) if compile_it else model

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast(job.device, torch.bfloat16, enabled=job.precision == "bfloat16"):
            logits = forward(inputs)
        F.cross_entropy(logits.float(), targets.flatten()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if job.device == "cuda":
            torch.cuda.synchronize()

    return step
