"""What the fence says to do: `torch.compile` is taken off, and every refusal ends with what is allowed."""

import ast

import pytest

from evaluator import fence
from evaluator.checks.runner import static_findings
from evaluator.fence.names import attribute_problem, builtin_problem, member_problem
from evaluator.fence.top_level import DECORATORS
from tests.evaluator.fence.test_fence import IMPORTS, REFUSED
from variants.contract import BASELINE, Variant
from variants.seeds import seed_variants

KERNEL = "def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n    return v, k\n"

COMPILED = {
    "decorator": ("import torch\n", "@torch.compile\n"),
    "with arguments": ("import torch\n", '@torch.compile(mode="max-autotune", dynamic=True, options={"a": True})\n'),
    "imported": ("from torch import compile\n", "@compile\n"),
    "imported under another name": ("import torch as t\nfrom torch import compile as jit\n", "@jit(fullgraph=True)\n"),
    "partial": ("import torch\nfrom functools import partial\n", "@partial(torch.compile, fullgraph=True)\n"),
    "named": ("import torch\nfast = torch.compile\n", "@fast\n"),
    "named with arguments": ("import torch\nfast = torch.compile(dynamic=True)\n", "@fast\n"),
    "named partial": (
        "import functools\nimport torch\nfast = functools.partial(torch.compile, dynamic=True)\n",
        "@fast\n",
    ),
    "disabled": ("import torch\n", "@torch.compiler.disable\n"),
    "disabled, imported": ("from torch.compiler import disable\n", "@disable(recursive=False)\n"),
    "dynamo": ("import torch._dynamo as dynamo\n", "@dynamo.disable\n"),
    "its module": ("import torch.compiler\n", "@torch.compiler.disable()\n"),
    "beside another": ("import torch\n", "@torch.compile\n@torch.enable_grad()\n"),
}


@pytest.mark.parametrize(("head", "decorator"), COMPILED.values(), ids=COMPILED)
def test_compilers_are_taken_off(head: str, decorator: str) -> None:
    tree = fence.parse(head + decorator + KERNEL)
    assert fence.violations(tree) == []
    text = ast.unparse(tree)
    assert not any(word in text for word in ("compile", "dynamo", "fast", "jit", "disable"))
    assert ("enable_grad" in text) == ("enable_grad" in decorator)
    lines = [line for line, _ in fence.taken_off(head + decorator + KERNEL)]
    assert 1 + head.count("\n") in lines


CALLS = {
    "f = torch.compile(g)": "f = g",
    "f = torch.compile(g, mode='default')": "f = g",
    "f = torch.compile(dynamic=True)(g)": "f = g",
    "f = torch.compile(lambda x: x + 1)": "f = lambda x: x + 1",
    "f = torch.compile(torch.compile(g))": "f = g",
}


@pytest.mark.parametrize(("statement", "left"), CALLS.items())
def test_a_compiled_function_is_the_function(statement: str, left: str) -> None:
    at_top, in_a_kernel = f"import torch\n{statement}\n", f"import torch\ndef h(g):\n    {statement}\n    return f\n"
    assert left in ast.unparse(fence.parse(at_top))
    assert left in ast.unparse(fence.parse(in_a_kernel))
    assert [line for line, _ in fence.taken_off(in_a_kernel)] == [3]


def test_nothing_else_is_taken_off() -> None:
    for source in (
        seed_variants()[BASELINE].source,
        "def compile(f):\n    return f\n\n\n@compile\ndef g():\n    return 1\n",
    ):
        assert ast.dump(fence.parse(source)) == ast.dump(ast.parse(source))
        assert fence.taken_off(source) == []


def test_the_report_says_what_is_taken_off() -> None:
    variant = Variant(name="compiled", source=f"import torch\n\n\n@torch.compile\n{KERNEL}")
    findings, tree = static_findings(variant, None)
    (found,) = [finding for finding in findings if finding.check == "fence"]
    assert found.status == "warn"
    assert "line 4: @torch.compile" in found.message
    assert "taken off" in found.message
    assert tree is not None


ADVICE = {
    "@torch.jit.script": ("import torch\n\n\n@torch.jit.script\n", "take it off"),
    "torch.jit.script()": ("import torch\nf = torch.jit.script(lambda x: x)\n", "take it off"),
    "@lru_cache": ("from functools import lru_cache\n\n\n@lru_cache(maxsize=None)\n", "compute in the kernel"),
    "@functools.cache": ("import functools\n\n\n@functools.cache\n", "compute in the kernel"),
    "numpy": ("import numpy as np\n\n\n", "torch has the same functions"),
    "triton": ("import triton.language as tl\n\n\n", "torch's operations"),
    "warnings": ("import warnings\n\n\n", "take it out"),
    "another project": ("from fla.utils import input_guard\n\n\n", "einops"),
    "os": ("import os\n\n\n", "einops"),
    "relative": ("from .utils import x\n\n\n", "one file"),
    "member": ("from itertools import permutations\n\n\n", "accumulate"),
    "of torch": ("import torch\n\n\ndef f(x):\n    return torch.load(x)\n\n\n", "what computes"),
}


@pytest.mark.parametrize(("head", "advice"), ADVICE.values(), ids=ADVICE)
def test_a_refusal_says_what_to_do_and_where_to_look(head: str, advice: str) -> None:
    (found,) = [
        x for x in static_findings(Variant(name="refused", source=head + KERNEL), None)[0] if x.check == "fence"
    ]
    assert found.status == "fail"
    assert advice in found.message
    assert found.message.endswith("`archer check --allowed` lists what a kernel may use")


@pytest.mark.parametrize("expression", REFUSED)
def test_every_refusal_ends_with_what_is_allowed(expression: str) -> None:
    source = f"{IMPORTS}\n\n\ndef f(q):\n    return {expression}\n\n\n{KERNEL}"
    (found,) = [x for x in static_findings(Variant(name="refused", source=source), None)[0] if x.check == "fence"]
    assert found.message.endswith("`archer check --allowed` lists what a kernel may use")


def test_what_is_listed_as_allowed_is() -> None:
    listed = fence.allowed()
    imports = listed["imports"]
    assert isinstance(imports, dict)
    assert imports.keys() == fence.ALLOWED_MODULES
    assert {"matmul", "float32", "einsum"} <= set(imports["torch"])
    assert all(member_problem(module, name) is None for module, members in imports.items() for name in members)
    assert all(builtin_problem(name) is None for name in listed["builtins"])
    assert set(listed["decorators"]) > DECORATORS
    assert attribute_problem("numpy") is not None, "else the list would say too little"


BYTE_ORDER_MARK = "\ufeff"


@pytest.mark.parametrize("source", ["", KERNEL, '"""Text."""\nimport torch\n\n\n' + KERNEL])
def test_a_byte_order_mark_is_no_syntax_error(source: str) -> None:
    assert ast.dump(fence.parse(BYTE_ORDER_MARK + source)) == ast.dump(fence.parse(source))


NO_KERNEL = {
    "nothing": ("x = 1\n", ""),
    "another name": ("def naive_recurrent(q, k, v):\n    return v\n", "it defines naive_recurrent"),
    "a class": ("class Layer:\n    def delta_rule_chunkwise(self):\n        return 1\n", ""),
}


@pytest.mark.parametrize(("source", "told"), NO_KERNEL.values(), ids=NO_KERNEL)
def test_both_kernels_are_named_where_a_file_has_none(source: str, told: str) -> None:
    (found,) = [x for x in static_findings(Variant(name="none", source=source), None)[0] if x.check == "signature"]
    assert found.status == "fail"
    assert "delta_rule_chunkwise(q, k, v, beta, chunk_size)" in found.message
    assert "gated_delta_rule_chunkwise(q, k, v, beta, g, chunk_size)" in found.message
    assert found.message.endswith(told)
