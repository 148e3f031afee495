"""What a check does not pay for: torch's compiler and symbolic shapes, and a busy machine."""

import subprocess
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from evaluator.sandbox import Limits
from evaluator.sandbox.client import PATIENCE, KernelClient
from evaluator.sandbox.frames import DeadlinePassed

CALLS = """
import sys
import torch
from evaluator.checks.fingerprint import fingerprint
from evaluator.sandbox.memory_files import Memory
from evaluator.sandbox.server import KernelServer
from evaluator.sandbox.worker import warm_up
from variants.contract import BASELINE
from variants.delta_net_4layer import delta_rule_chunkwise
from variants.seeds import seed_variants

warm_up()
server = KernelServer(delta_rule_chunkwise, "cpu", Memory.for_questions(2**20))
x = {name: torch.rand(1, 1, 40, 8) for name in "qkv"} | {"beta": torch.rand(1, 1, 40)}
body = {"released": [], "op": "forward", "chunk_size": 32, "grad": True, "echo": False, "count": True, "nonce": "a"}
_, out = server.answer(body, x)
server.answer({"released": [], "op": "backward", "call": "a"}, {"o": out["o"].detach()})
fingerprint(delta_rule_chunkwise, seed_variants()[BASELINE].contract)
print(sorted({"torch._dynamo", "sympy"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_no_part_of_a_check_imports_the_compiler() -> None:
    answer = subprocess.run([sys.executable, "-c", CALLS], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


@pytest.mark.slow
def test_archer_starts_without_torch() -> None:
    source = "import sys, agent.cli, evaluator.sandbox.prestart; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n", "else the template would not start beside it"


@dataclass
class Silent:
    """A candidate that does not answer before `quarters` quarters of the limit, and gets a share of the processor."""

    share: float
    quarters: int = 1000
    waited: list[float] = field(default_factory=list)

    @property
    def channel(self) -> SimpleNamespace:
        return SimpleNamespace(answers_within=self._answers_within)

    def _answers_within(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return len(self.waited) >= self.quarters

    def cpu_seconds(self) -> float:
        return self.share * sum(self.waited)


def await_answer(candidate: Silent) -> float:
    client = KernelClient.__new__(KernelClient)
    client._candidate, client._limits = candidate, Limits(wall_seconds=8.0)  # type: ignore[assignment]
    client._await_answer()
    return sum(candidate.waited)


@pytest.mark.parametrize(("share", "seconds"), [(1.0, 8.0), (0.31, 20.0), (0.0, PATIENCE * 8.0)])
def test_a_kernel_has_as_long_as_its_share_of_the_processor_asks_for(share: float, seconds: float) -> None:
    candidate = Silent(share)
    with pytest.raises(DeadlinePassed):
        await_answer(candidate)
    assert sum(candidate.waited) == seconds


def test_an_answer_ends_the_waiting() -> None:
    assert await_answer(Silent(0.1, quarters=7)) == 14.0
