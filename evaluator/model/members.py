"""Several models of one shape as one: the members' parameters stacked, their sequences side by side in the kernel."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evaluator.kernel import Kernel
from evaluator.model.backbones import LanguageModel, build
from evaluator.model.config import ModelConfig
from evaluator.model.layers import initialise


class Members:
    """Models that share a config and a kernel, each drawn from a seed of its own.

    model: takes tokens `[M, B, L]`. parameters: for each living member, tensors that share memory with its part of the
    stack, for an optimiser of its own. living: numbers of the members in the stack, in its order.
    """

    def __init__(self, config: ModelConfig, kernel: Kernel, seeds: Sequence[int], device: str):
        drawn = [build(config, kernel) for _ in seeds]
        for model, seed in zip(drawn, seeds, strict=True):
            initialise(model, seed)
        self.model: LanguageModel = drawn[0]
        self.names = [name for name, _ in self.model.named_parameters()]
        states = [model.state_dict() for model in drawn]
        for name in self.names:
            stacked = torch.stack([state[name] for state in states]).to(device)
            owner, _, leaf = name.rpartition(".")
            setattr(self.model.get_submodule(owner), leaf, nn.Parameter(stacked))
        for name, buffer in list(self.model.named_buffers()):
            owner, _, leaf = name.rpartition(".")
            setattr(self.model.get_submodule(owner), leaf, buffer.to(device))
        self.living = list(range(len(seeds)))
        self.parameters = [[nn.Parameter(stack.data[m]) for stack in self.model.parameters()] for m in self.living]

    def share_gradients(self) -> None:
        """Give each member's parameters its part of the stack's gradients."""
        stacks = list(self.model.parameters())
        for place, number in enumerate(self.living):
            for own, stack in zip(self.parameters[number], stacks, strict=True):
                own.grad = None if stack.grad is None else stack.grad[place]

    def weights(self, number: int) -> dict[str, Tensor]:
        """A copy of a living member's state dict."""
        return {name: own.detach().clone() for name, own in zip(self.names, self.parameters[number], strict=True)}

    def drop(self, ended: Sequence[int]) -> None:
        """Take members out of the stack; the others go on as they were."""
        kept = [place for place, number in enumerate(self.living) if number not in ended]
        self.living = [self.living[place] for place in kept]
        for index, stack in enumerate(self.model.parameters()):
            stack.grad = None
            stack.data = stack.data[kept]
            for place, number in enumerate(self.living):
                self.parameters[number][index].data = stack.data[place]
