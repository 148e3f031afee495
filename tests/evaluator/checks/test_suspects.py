"""Hints at lines: leaks and undefined gradients are pointed at, honest kernels are not."""

import ast

import pytest

from evaluator.checks.suspects import pointed
from evaluator.outcomes import Finding
from variants.contract import BASELINE
from variants.parsing import parse
from variants.seeds import seed_variants

SOURCE = seed_variants()[BASELINE].source
LEAK = Finding(check="causality", status="fail", message="output moves", evidence={"cut": 3})
UNDEFINED = Finding(check="finite", status="fail", message="the gradient of q has 3 of 9 entries that are not finite")
ATTN = "        attn = (q_i @ k_i.mT).masked_fill(future, 0)  # [B, H, C, C]\n"
WRITTEN = "        o_n.append(o_inter + attn @ u_i)\n"


def changed(old: str, new: str) -> ast.Module:
    assert old in SOURCE
    return parse(SOURCE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        (ATTN, "        attn = q_i @ k_i.mT\n", "`attn = q_i @ k_i.mT` is not masked"),
        (WRITTEN, "        o_n.append(o_inter + attn @ (u_i - u_i.mean(-2, keepdim=True)))\n", "`mean` goes over all"),
        (WRITTEN, "        o_n.append((o_inter + attn @ u_i) / u_i.norm())\n", "`norm` goes over all positions"),
        (WRITTEN, "        o_n.append(o_inter + torch.flip(u_i, dims=(2,)))\n", "`flip` goes over all positions"),
        (
            "        o_inter = q_i @ S  # [B, H, C, Dv]\n",
            "        S = S + k_i.mT @ u_n[i]\n        o_inter = q_i @ S\n",
            "`S` is updated here and read before",
        ),
    ],
)
def test_the_line_of_a_leak_is_pointed_at(old: str, new: str, hint: str) -> None:
    tree = changed(old, new)
    found = pointed(LEAK, tree)
    assert hint in found.message
    assert found.message.startswith("output moves. Look at line ")
    line = SOURCE[: SOURCE.index(old)].count("\n") + 1
    assert line in found.evidence["suspects"]
    assert found.evidence["cut"] == 3


@pytest.mark.parametrize("expression", ["u_i.square().sum(-1).sqrt()", "S.norm()", "(u_i ** 2) ** 0.5", "1 / u_i"])
def test_the_line_of_an_undefined_gradient_is_pointed_at(expression: str) -> None:
    found = pointed(UNDEFINED, changed(WRITTEN, f"        gate = {expression}\n{WRITTEN}"))
    assert f"`{expression}`" in found.message


@pytest.mark.parametrize("name", sorted(name for name in seed_variants() if "topk" not in name))
def test_honest_kernels_have_no_unmasked_scores_and_no_early_updates(name: str) -> None:
    message = pointed(LEAK, parse(seed_variants()[name].source)).message
    assert "not masked" not in message
    assert "is updated here" not in message


def test_a_state_update_may_look_at_the_whole_chunk() -> None:
    update = "        S = S + k_i.mT @ u_i\n"
    tree = changed(update, "        S = S + k_i.mT @ (u_i - u_i.mean(-2, keepdim=True))\n")
    assert pointed(LEAK, tree) == LEAK
    read_at_once = "        S = S + k_i.mT @ (u_i - u_i.mean(-2, keepdim=True))\n        o_n[-1] = o_n[-1] + q_i @ S\n"
    assert "`mean` goes over all" in pointed(LEAK, changed(update, read_at_once)).message


def test_what_passed_or_is_another_check_is_left_alone() -> None:
    tree = changed(ATTN, "        attn = q_i @ k_i.mT\n")
    for finding in (LEAK.model_copy(update={"status": "pass"}), LEAK.model_copy(update={"check": "heads"})):
        assert pointed(finding, tree) == finding
    assert pointed(LEAK, parse("x = 1")) == LEAK
