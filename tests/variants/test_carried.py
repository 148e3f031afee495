"""Which names a chunk loop carries, read off its source."""

import pytest

from variants.carried import carried
from variants.contract import BASELINE, REFERENCE, short_name
from variants.controls import controls
from variants.seeds import seed_variants

LOOPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a state": ("o.append(q[i] @ S)\nS = S + k[i]", ("S",)),
    "a state in place": ("o.append(q[i] @ S)\nS += k[i]", ("S",)),
    "a state by a method": ("o.append(q[i] @ S)\nS.mul_(0.9).add_(k[i])", ("S",)),
    "a state by a function": ("o.append(q[i] @ S)\ntorch.add(S, k[i], out=S)\ntorch.relu_(S)", ("S",)),
    "what a state is added is not changed": ("o.append(q[i] @ S + k[0])\nS.add_(k[i])", ("S",)),
    "a state by index": ("o.append(q[i] @ S)\nS[:, :] = S * 0.9", ("S",)),
    "a state in a dict": ("o.append(q[i] @ d['S'])\nd['S'] = d['S'] + k[i]", ("d",)),
    "two, one read through the other": ("M = 0.9 * M + k[i]\no.append(q[i] @ S)\nS = S + M", ("M", "S")),
    "two in one line": ("o.append(q[i] @ S @ M)\nS, M = S + k[i], M + S", ("S", "M")),
    "two by one call": ("o.append(q[i] @ S)\nS, M = step(S, M)", ("S", "M")),
    "a window": ("o.append(q[i] @ w[-1])\nw = [*w, k[i]][-2:]", ("w",)),
    "only where a branch leaves it": ("if i:\n    x = k[i]\no.append(x)", ("x",)),
    "in both branches": ("if i:\n    x = k[i]\nelse:\n    x = k[0]\no.append(x)", ()),
    "a branch that goes on": ("if i:\n    x = k[i]\nelse:\n    continue\no.append(x)", ()),
    "step by step inside of a chunk": ("for t in range(3):\n    o.append(q[i] @ S)\n    S = S + k[i][t]", ("S",)),
    "bound anew in each chunk": ("x = k[i]\nx = x + 1\no.append(x)", ()),
    "an output by index": ("o[i] = k[i]", ()),
    "an output that grows": ("o = torch.cat([o, k[i]])", ()),
    "a comprehension": ("o.append(sum(S for S in k[i]))", ()),
    "a sum that nothing reads": ("S = S + k[i]", ()),
}


def kernel(body: str) -> str:
    inside = body.replace("\n", "\n        ")
    return f"def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n    for i in range(4):\n        {inside}\n"


@pytest.mark.parametrize("case", LOOPS)
def test_what_is_carried(case: str) -> None:
    body, names = LOOPS[case]
    begins = "    o, d, w, S, M, x = [], {}, [], v, v, v\n"
    source = kernel(body).replace("    for i", f"{begins}    for i", 1)
    found = carried(source)
    assert found is not None
    assert set(found.names) == set(names)
    assert found.head == (3, 3)


def test_without_a_loop_or_with_a_function_that_changes_names_nothing_is_said() -> None:
    assert all(carried(control.source) is None for control in controls().values())
    step = "    def step():\n        nonlocal S\n        S = S + 1\n    for"
    assert carried(kernel("step()").replace("    for", step)) is None
    assert carried("def delta_rule_chunkwise(") is None


def test_of_the_seeds() -> None:
    names = {short_name(name): found.names for name, v in seed_variants().items() if (found := carried(v.source))}
    assert len(names) == len(seed_variants())
    more = {name: own for name, own in names.items() if own != ("S",)}
    assert more == {
        "adam_state_update": ("M", "V", "S"),
        "momentum_state_update": ("M", "S"),
        "rmsprop_state_update": ("V", "S"),
        "phase_echo_decay_state_update": ("z", "S"),
        "channel_product_keys_phase_echo_decay": ("z", "S", "P"),
        "own_error_all_channels_product_keys_added_phase_echo_decay": ("z", "S", "P"),
        "products_only_state_written_echo_successor_own_error": ("N", "k_last", "z", "S"),
        "written_echo_and_successor_halves_own_error": ("N", "k_last", "z", "S", "P"),
    }
    assert names[BASELINE] == names[REFERENCE] == ("S",)
