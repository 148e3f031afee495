"""AdamW without torch's compiler: its import takes longer than a training of `smoke`, and nothing here is compiled.

torch keeps methods of its optimisers from being compiled, and imports the compiler for that at their first call. One
that is marked as its own uncompiled form is called as it is. Sources: torch/_compile.py, torch/optim/optimizer.py.
"""

import inspect
from types import FunctionType

import torch


class AdamW(torch.optim.AdamW):
    """torch's AdamW, whose step imports nothing."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


for method in vars(torch.optim.Optimizer).values():
    if isinstance(method, FunctionType) and method.__globals__["__name__"] == "torch._compile":
        uncompiled = inspect.unwrap(method)
        vars(uncompiled)["__dynamo_disable"] = uncompiled
