"""Tests of the evaluator compute in one thread, as a sandboxed process does."""

import torch

torch.set_num_threads(1)
