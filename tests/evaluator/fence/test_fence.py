"""The fence: what a source may name, judged by reading it."""

import pytest

from evaluator import fence
from evaluator.checks.runner import static_findings
from evaluator.checks.scope import check_scope
from tests.corpus.cases import CHEATERS, HONEST
from variants.seeds import seeds

REFUSED = """
torch.load
torch.ops.aten.relu
torch.cuda.synchronize()
torch.backends.mkldnn.flags()
torch.jit.script
torch.nn.functional.torch.save
torch.serialization.load
torch.multiprocessing.spawn
torch.overrides
torch.nn.Module.__init__
math.__loader__
(lambda: 0).__globals__
q.grad_fn
q._base
type('X', (), {})
torch.Tensor.__setattr__
torch.nn.utils
torch.autograd.Variable
einops.layers
einops.rearrange.__globals__
[m for m in (torch,)]
dict(t=torch)
f'{torch}'
print.__self__
q.register_hook(print)
help()
input()
torch.nn.functional.handle_torch_function
torch.random.manual_seed(0)
torch.utils.cpp_extension.load
'{0.real}'.format(q)
'{a[0]}'.format(a=q)
'{:{0.real}}'.format(q)
('{0.real}' + '').format(q)
str.format('{0.real}', q)
'{}'.format
(t := type)('X', (), {})
{'t': type}['t']('X', (), {})
type(type(q))('X', (), {})
list(map(type, [q]))
torch.nn.Identity().compile()
q.as_subclass(torch.nn.Parameter)
torch.nn.Module.train(print, True)
torch.autograd.Function.mark_dirty(print, q)
[q.mark_dirty(q)]
functools.wraps(q, assigned=('detach',))(torch.Tensor)
functools.wraps(q)(torch.relu)
functools.wraps
dataclasses.dataclass(torch.Tensor)
[dataclasses.dataclass]
""".strip().splitlines()

LET_THROUGH = """
torch.linalg.solve_triangular(q, q, upper=False)
torch.finfo(q.dtype).eps
einops.rearrange(q, 'a b -> b a')
math.inf * q.shape[0]
torch.nn.functional.softplus(q)
torch.float32
q.new_zeros(1).to(torch.bfloat16)
torch.tensor([1.0], device=q.device)
torch.einsum('ij->ji', q)
[x for x in q]
q.T.mT.H
torch.special.expit(q)
torch.fft.rfft(q)
(q if q.is_cuda else q.cpu())
type(q)
torch.Size([1])
sum(x.item() for x in q)
torch.func.vmap(torch.sin)(q)
torch.nn.Softmax(-1)(q)
isinstance(q, torch.Tensor)
torch.baddbmm(q, q, q)
'{:.2f} of {name}, {0}'.format(1.0, name='q')
isinstance(q, type)
type(q)(q)
""".strip().splitlines()


IMPORTS = "import dataclasses\nimport functools\nimport math\nimport torch\nimport einops"


def judged(source: str) -> list[fence.Violation]:
    return fence.violations(fence.parse(source))


@pytest.mark.parametrize("name", [name for name, case in CHEATERS.items() if case.expected == "fence"])
def test_cheater_is_refused(name: str) -> None:
    assert judged(CHEATERS[name].variant.source)


@pytest.mark.parametrize("name", [name for name, case in CHEATERS.items() if case.expected == "syntax"])
def test_unreadable_source_is_an_error_with_a_reason(name: str) -> None:
    with pytest.raises(fence.SourceError, match=r"line|parsed"):
        fence.parse(CHEATERS[name].variant.source)


@pytest.mark.parametrize("name", HONEST)
def test_honest_source_passes(name: str) -> None:
    assert judged(HONEST[name].variant.source) == []


@pytest.mark.parametrize("name", seeds())
def test_seed_passes_and_keeps_to_the_loop(name: str) -> None:
    seed = seeds()[name]
    tree = fence.parse(seed.variant.source)
    assert fence.violations(tree) == []
    parent = seeds()[seed.parent].variant if seed.parent else None
    assert check_scope(tree, seed.variant, parent).status == "pass"


def test_change_outside_the_loop_is_a_warning() -> None:
    baseline = seeds()["delta_net_4layer"].variant
    changed = baseline.model_copy(update={"source": baseline.source.replace("Dk**-0.5", "Dk**-0.25")})
    finding = check_scope(fence.parse(changed.source), changed, baseline)
    assert finding.status == "warn"
    assert finding.evidence["diff"].endswith("-    q = q * Dk**-0.5\n+    q = q * Dk**-0.25")


@pytest.mark.parametrize("expression", REFUSED)
def test_expression_is_refused(expression: str) -> None:
    assert judged(f"{IMPORTS}\n\n\ndef f(q):\n    return {expression}\n")


@pytest.mark.parametrize("expression", LET_THROUGH)
def test_expression_is_let_through(expression: str) -> None:
    assert judged(f"{IMPORTS}\n\n\ndef f(q):\n    return {expression}\n") == []


@pytest.mark.parametrize(
    "guard",
    ["__name__ != '__main__'", "__name__ == run()", "__name__ == __name__ != '__main__'", "__name__ == 'kernel'"],
)
def test_a_guard_that_may_hold_here_is_judged(guard: str) -> None:
    assert judged(f"def run():\n    return 1\n\n\nif {guard}:\n    SEEN = [run()]\n")


@pytest.mark.parametrize("guard", ["__name__ == '__main__'", "'__main__' == __name__"])
def test_a_main_guard_is_not_judged(guard: str) -> None:
    assert judged(f"if {guard}:\n    import os\n    print(os.environ)\n") == []


DEEP = {
    f"{name}{n}": head + opening * n + "x" + closing * n
    for name, head, opening, closing in (
        ("comprehensions", "x = ", "[y for y in ", "]"),
        ("lambdas", "f = ", "lambda: ", ""),
        ("sums", "x = ", "x + ", ""),
    )
    for n in (90, 180, 195, 290, 330, 600)
}  # fmt: skip


@pytest.mark.parametrize("statement", DEEP.values(), ids=DEEP)
def test_deep_source_ends_as_a_finding(statement: str) -> None:
    variant = seeds()["delta_net_4layer"].variant
    deep = variant.model_copy(
        update={"source": variant.source.replace("    B, H, L, Dk = q.shape", f"    {statement}", 1)}
    )
    findings, _ = static_findings(deep, variant)
    assert findings


@pytest.mark.parametrize("source", ["", "x = 1\x00", "(" * 500, "-" * 50_000 + "1", "a." * 50_000 + "b"])
def test_hostile_source_does_not_break_the_judge(source: str) -> None:
    try:
        tree = fence.parse(source)
    except fence.SourceError:
        return
    fence.violations(tree)


def test_oversized_source_is_not_read() -> None:
    with pytest.raises(fence.SourceError, match="characters"):
        fence.parse("#" * 300_000)
