"""One sandbox for all tests of this folder that run variants: its start costs seconds."""

from collections.abc import Iterator

import pytest
import torch

from evaluator.sandbox import Sandbox

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox
