"""How much a kernel carries from chunk to chunk, measured."""

import pytest

from archive.seeding import shipped_sizes
from evaluator.checks.state import CHUNKS, measure_state, told
from evaluator.outcomes import StateSize
from evaluator.sandbox import Sandbox
from evaluator.sandbox.client import _held
from variants.contract import BASELINE, Variant
from variants.controls import controls
from variants.seeds import seed_variants

SOURCE = seed_variants()[BASELINE].source
START, UPDATE, END = "    for i in range(len(q_n)):\n", "        S = S + k_i.mT @ u_i\n", "    return torch.cat"
MATRIX = 64 * 64
CHUNK = 32 * 64


def changed(start: str = "", update: str = "", end: str = "") -> Variant:
    """The baseline with lines before its loop, at the end of its loop, and after it."""
    assert all(SOURCE.count(line) == 1 for line in (START, UPDATE, END))
    source = SOURCE.replace(START, start + START).replace(UPDATE, UPDATE + update).replace(END, end + END)
    return Variant(name="under_test", source=source)


CASES = {
    "another matrix": (
        changed("    M = S\n", "        M = 0.9 * M + S\n        S = S + 0 * M\n"),
        StateSize(numbers=2 * MATRIX, shapes={"S": (64, 64), "M": (64, 64)}),
    ),
    "cut off after the loop": (
        changed(
            "    M = torch.cat([S, S], -2)\n",
            "        M = 0.9 * M + 1\n        S = S + 0 * M[:, :, :Dk]\n",
            "    M = M[:, :, :1]\n",
        ),
        StateSize(numbers=3 * MATRIX, shapes={"S": (64, 64), "M": (128, 64)}),
    ),
    "a window of two chunks": (
        changed("    w = []\n", "        w = [*w, k_i][-2:]\n        S = S + 0 * w[0].sum()\n"),
        StateSize(numbers=MATRIX + 2 * CHUNK, shapes={"S": (64, 64), "w": (2 * CHUNK,)}),
    ),
    "all chunks": (
        changed("    w = []\n", "        w.append(k_i)\n        S = S + 0 * sum(x.sum() for x in w)\n"),
        StateSize(numbers=MATRIX + 8 * CHUNK, shapes={"S": (64, 64), "w": (8 * CHUNK,)}, grows=True),
    ),
    "a buffer as long as the sequence": (
        changed("    w = torch.zeros_like(q)\n", "        w[:, :, i] = k_i\n        S = S + 0 * w.sum()\n"),
        StateSize(numbers=MATRIX + 8 * CHUNK, shapes={"S": (64, 64), "w": (8, 32, 64)}, grows=True),
    ),
    "the same memory under two names": (
        changed("    M = S\n", "        S = S + 0 * M\n        M = S\n"),
        StateSize(numbers=MATRIX, shapes={"S": (64, 64)}),
    ),
    "one number": (
        changed("    z = S.new_zeros(())\n", "        z = z + 1\n        S = S + 0 * z\n"),
        StateSize(numbers=MATRIX + 1, shapes={"S": (64, 64), "z": (1,)}),
    ),
    "a function that changes it": (
        changed("    z = S\n\n    def add(x):\n        nonlocal z\n        z = z + x\n\n", "        add(S)\n"),
        StateSize(numbers=None),
    ),
}


def test_every_seed_and_control_ships_with_its_size() -> None:
    sizes = shipped_sizes()
    lacking = [v.name for v in (*seed_variants().values(), *controls().values()) if v.source_hash not in sizes]
    assert not lacking, "seeds changed: python -m benchmarks.measure_seeds --sizes"
    assert all(sizes[v.source_hash].numbers == 0 for v in controls().values())
    assert all(sizes[v.source_hash].numbers for v in seed_variants().values())


def test_words() -> None:
    assert told(StateSize(numbers=8192, shapes={"S": (128, 64)})) == (
        "carries 8,192 numbers a head from chunk to chunk (S 128 x 64): twice the baseline's"
    )
    assert "unknown" in told(StateSize(numbers=None))
    assert f"after {CHUNKS[1]} chunks, and ever more" in told(StateSize(numbers=9000, grows=True))


@pytest.mark.parametrize("answer", [None, [1], ["1", []], [True, []], [-1, []], [2**41, []], [4, [2.0]], [4, [1] * 9]])
def test_an_answer_of_another_form_is_none(answer: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        _held(answer)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_measured(sandbox: Sandbox, case: str) -> None:
    variant, expected = CASES[case]
    with sandbox.kernel(variant) as kernel:
        assert measure_state(kernel, variant) == expected


@pytest.mark.slow
@pytest.mark.parametrize("idea", ["", "_adam_state_update_in_for_loop", "_phase_echo_decay_state_update_in_for_loop"])
def test_measuring_a_seed_again_gives_what_ships(sandbox: Sandbox, idea: str) -> None:
    variant = seed_variants()[f"{BASELINE}{idea}"]
    with sandbox.kernel(variant) as kernel:
        assert measure_state(kernel, variant) == shipped_sizes()[variant.source_hash]
