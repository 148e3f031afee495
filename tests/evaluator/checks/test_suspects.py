"""Hints at lines: leaks and undefined gradients are pointed at, honest kernels are not."""

import ast
from math import inf, nan

import pytest

from evaluator.checks import check
from evaluator.checks.suspects import pointed
from evaluator.outcomes import Finding
from evaluator.sandbox import Sandbox
from variants.contract import BASELINE, Variant
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
    assert "An eps under the root" in found.message


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


def test_an_infinite_gradient_that_shows_as_a_leak_is_named_as_what_it_is() -> None:
    tree = changed(WRITTEN, "        o_n.append(o_inter + (attn * attn.abs().sqrt()) @ u_i)\n")
    leak = LEAK.model_copy(
        update={"message": "the gradient of outputs before 1 reaches k", "evidence": {"max_abs": inf}}
    )
    warning = Finding(check="gradients", status="warn", message="the gradient of k is not", evidence={"error": nan})
    for finding in (leak, warning):
        found = pointed(finding, tree)
        assert "That is a 0/0 on the way back" in found.message
        assert "`attn.abs().sqrt()`" in found.message
        assert "goes over all positions" not in found.message


def failures(word: str, source: str, sandbox: Sandbox) -> dict[str, str]:
    """Message of each check that failed."""
    report = check(Variant(name=f"delta_net_4layer_{word}_in_for_loop", source=source), sandbox)
    return {finding.check: finding.message for finding in report.findings if finding.status == "fail"}


@pytest.mark.slow
def test_numbers_that_outgrow_float32_are_no_quotient_at_zero(sandbox: Sandbox) -> None:
    grown = SOURCE.replace("S = S + k_i.mT", "S = 3 * S + 0.1 * torch.exp(S) * S + k_i.mT")
    failed = failures("grown", grown, sandbox)
    assert "the first at position" in failed["finite"]
    assert "must not grow without bound" in failed["finite"]
    assert "what `finite` found" in failed["causality"]
    assert not any("0/0" in message for message in failed.values())


@pytest.mark.slow
def test_a_root_of_what_is_negative_is_no_growth(sandbox: Sandbox) -> None:
    root = SOURCE.replace("u_i = u_n[i] - w_n[i] @ S", "u_i = (u_n[i] - w_n[i] @ S).sqrt()")
    failed = failures("root", root, sandbox)
    assert "a root or a logarithm of what is negative" in failed["finite"]
    assert "outgrow" not in failed["finite"]


@pytest.mark.slow
def test_who_draws_random_numbers_is_told_that_and_nothing_that_follows_from_it(sandbox: Sandbox) -> None:
    noisy = SOURCE.replace("S = S + k_i.mT", "S = S + torch.randn_like(S) + k_i.mT")
    report = check(Variant(name="delta_net_4layer_noisy_in_for_loop", source=noisy), sandbox)
    assert [finding.check for finding in report.findings if finding.status != "pass"] == ["determinism"]


@pytest.mark.slow
def test_a_root_of_masked_scores_is_told_from_a_leak(sandbox: Sandbox) -> None:
    source = SOURCE.replace(WRITTEN, "        o_n.append(o_inter + (attn * attn.abs().sqrt()) @ u_i)\n")
    report = check(Variant(name="delta_net_4layer_root_in_for_loop", source=source), sandbox)
    (finding,) = [finding for finding in report.findings if finding.status == "fail"]
    assert "That is a 0/0 on the way back" in finding.message


def test_what_passed_or_is_another_check_is_left_alone() -> None:
    tree = changed(ATTN, "        attn = q_i @ k_i.mT\n")
    for finding in (LEAK.model_copy(update={"status": "pass"}), LEAK.model_copy(update={"check": "heads"})):
        assert pointed(finding, tree) == finding
    assert pointed(LEAK, parse("x = 1")) == LEAK
