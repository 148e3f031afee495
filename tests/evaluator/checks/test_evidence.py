"""What a finding on a crash, a changed input or a device says: dtype, shape, device, chunk size and the line."""

from pathlib import Path

import pytest

from agent.search.find_variant import variant_from_file
from evaluator.checks import Checking, check
from evaluator.outcomes import CheckName, Finding
from evaluator.sandbox import Sandbox
from tests.evaluator.written import ANY_LENGTH, FIRST, HEADER, LAST, changed, variant

PLACES = {"dtype", "shape", "device", "chunk_size", "line"}
LOOP = "    for i in range(L // C):\n"
JOINED = "    o = torch.cat(o, 2)[:, :, : L - short]\n"


def line_of(source: str, text: str) -> int:
    """The number of the line of the file that begins with a text."""
    (number,) = [i for i, line in enumerate((HEADER + source).splitlines(), 1) if line.strip().startswith(text)]
    return number


def found(sandbox: Sandbox, source: str, name: CheckName) -> Finding:
    """What one check finds; those after it are not made."""
    return next(finding for finding in Checking(variant(source), sandbox).findings() if finding.check == name)


def complete(finding: Finding, line: int) -> None:
    """Everything is there, in the evidence and in words."""
    assert finding.evidence.keys() >= PLACES, finding
    assert all(finding.evidence[name] is not None for name in PLACES)
    assert finding.evidence["line"] == line
    assert f"line {line}" in finding.message
    assert len(finding.evidence["shape"]) == 5
    assert "\n" not in finding.message


CRASHES = {
    "at once": (FIRST, FIRST + "    torch.zeros(3)[5]\n", "torch.zeros(3)[5]"),
    "an own error": (FIRST, FIRST + "    raise ValueError('a\\nlong\\nmessage')\n", "raise ValueError"),
    "another dtype": (LOOP, "    S = S.double()\n" + LOOP, "error = u"),
    "in a helper": ("def delta_rule", "def helper(x):\n    return x @ x\n\n\ndef delta_rule", "return x @ x"),
    "einops": (FIRST, FIRST + "    import einops\n    einops.rearrange(q, 'a b -> b a')\n", "einops.rearrange"),
    "more chunks than one": (LOOP, LOOP + "        assert i < 1, i\n", "assert i < 1"),
    "with gradients": (JOINED, JOINED + "    assert not o.requires_grad\n", "assert not o.requires_grad"),
    "a larger head": (FIRST, FIRST + "    assert D < 32\n", "assert D < 32"),
}


@pytest.mark.parametrize(("old", "new", "at"), CRASHES.values(), ids=CRASHES)
def test_a_crash_is_told_with_its_place(sandbox: Sandbox, old: str, new: str, at: str) -> None:
    source = changed(ANY_LENGTH, (old, new))
    if "helper" in new:
        source = changed(source, (LOOP, LOOP + "        helper(q)\n"))
    crash = found(sandbox, source, "crash")
    complete(crash, line_of(source, at))
    assert crash.status == "fail"
    assert "float32 of shape" in crash.message
    assert "chunk size 32" in crash.message


def test_a_crash_at_one_length_is_told_with_its_place(sandbox: Sandbox) -> None:
    source = changed(ANY_LENGTH, (FIRST, FIRST + "    assert L != 517\n"))
    lengths = found(sandbox, source, "lengths")
    complete(lengths, line_of(source, "assert L != 517"))
    assert lengths.evidence["length"] == 517


def test_a_crash_at_import_has_its_line(sandbox: Sandbox) -> None:
    source = "MANY = tuple(range(3))[7]\n" + ANY_LENGTH
    crash = found(sandbox, source, "crash")
    assert crash.evidence["line"] == line_of(source, "MANY")
    assert crash.evidence["during"] == "import"
    assert crash.evidence["device"] == "cpu"


OWN_BACKWARD = """
class Odd(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad @ torch.eye(3)


def delta_rule_chunkwise"""
IN_BACKWARD = {
    "changed in place, an exponential": (
        JOINED,
        JOINED + "    e = o.exp()\n    o = e * 2\n    e += 1\n",
        "e = o.exp()",
    ),
    "changed in place, a product": (
        "        o.append(q[:, :, i] @ S + ",
        "        z = q[:, :, i] @ S\n        S[:, :, :1] = 0\n        o.append(z + ",
        "z = q[:, :, i] @ S",
    ),
    "its own": (JOINED, JOINED + "    o = Odd.apply(o)\n", "return grad @ torch.eye(3)"),
}


@pytest.mark.parametrize(("old", "new", "at"), IN_BACKWARD.values(), ids=IN_BACKWARD)
def test_an_error_in_the_backward_pass_has_a_line(sandbox: Sandbox, old: str, new: str, at: str) -> None:
    source = changed(ANY_LENGTH, (old, new))
    if "Odd" in new:
        source = changed(source, ("def delta_rule_chunkwise", OWN_BACKWARD))
    crash = found(sandbox, source, "crash")
    complete(crash, line_of(source, at))
    assert crash.evidence["during"] == "backward"
    if "place" in crash.message:
        assert "changed in place later" in crash.message
        assert "Hint" not in crash.message


CHANGES = {
    "by an operation": ("    q.mul_(2)\n", "q", "q.mul_(2)"),
    "by assignment": ("    beta *= 0.5\n", "beta", "beta *= 0.5"),
    "of a part": ("    k[..., 0] = 0\n", "k", "k[..., 0] = 0"),
    "through a view": ("    rows = v.transpose(2, 3)\n    rows += 1\n", "v", "rows += 1"),
    "past autograd": ("    v.data.zero_()\n", "v", "v.data.zero_()"),
    "as an output": ("    with torch.no_grad():\n        torch.neg(k, out=k)\n", "k", "torch.neg(k, out=k)"),
}


@pytest.mark.parametrize(("statements", "name", "at"), CHANGES.values(), ids=CHANGES)
def test_a_changed_input_is_told_with_its_place(sandbox: Sandbox, statements: str, name: str, at: str) -> None:
    source = changed(ANY_LENGTH, (FIRST, FIRST + statements))
    mutation = found(sandbox, source, "mutation")
    assert mutation.status == "fail"
    assert f"changes its input {name}" in mutation.message
    complete(mutation, line_of(source, at))


MASK = "torch.ones(C, C, dtype=torch.bool, device=q.device).tril()"
STATE = "S = q.new_zeros(B, H, D, v.shape[-1])"
CPU_ONLY = {
    "a mask": ((f"upto = {MASK}", "upto = torch.ones(C, C, dtype=torch.bool).tril()"), "upto ="),
    "a mask of positions": (
        (f"upto = {MASK}", "p = torch.arange(C)\n    upto = p[:, None] >= p"),
        "p = torch.arange(C)",
    ),
    "a table": ((LAST, "    o = o * torch.linspace(1, 2, o.shape[-1])\n    return o, S\n"), "o = o * torch.linspace"),
    "a state": ((STATE, "S = torch.zeros(B, H, D, v.shape[-1])"), "S = torch.zeros"),
    "a list of numbers": (
        (LAST, "    w = torch.tensor([1.0] * o.shape[-1])\n    return o * w, S\n"),
        "w = torch.tensor",
    ),
    "an output": ((LAST, "    out = torch.zeros(o.shape)\n    out[:] = o\n    return out, S\n"), "out = torch.zeros"),
    "after a branch on values": (
        (LAST, "    if float(o.sum()) == float(o.sum()):\n        o = o + torch.zeros(o.shape)\n    return o, S\n"),
        "o = o + torch.zeros",
    ),
    "named": ((LAST, "    o = o * torch.ones(o.shape, device='cpu')\n    return o, S\n"), "o = o * torch.ones"),
}


@pytest.mark.parametrize(("change", "at"), CPU_ONLY.values(), ids=CPU_ONLY)
def test_a_tensor_made_without_a_device_is_found_on_a_cpu(sandbox: Sandbox, change: tuple[str, str], at: str) -> None:
    source = changed(ANY_LENGTH, change)
    shapes = found(sandbox, source, "shapes")
    assert shapes.status == "warn"
    assert "without device=" in shapes.message
    assert shapes.evidence["other devices than the CPU"]["line"] == line_of(source, at)


def test_what_is_right_on_this_machine_passes(sandbox: Sandbox) -> None:
    mask, _ = CPU_ONLY["a mask"]
    assert check(variant(changed(ANY_LENGTH, mask)), sandbox).verdict == "pass"


ANY_DEVICE = {
    "device=": (MASK, MASK),
    "moved": (f"upto = {MASK}", "upto = torch.ones(C, C, dtype=torch.bool).tril().to(q.device)"),
    "moved to another tensor": (STATE, "S = torch.zeros(B, H, D, v.shape[-1]).to(v)"),
    "like another": (LAST, "    return o + torch.zeros_like(o), S\n"),
    "a single number": (LAST, "    return o * torch.tensor(1.5), S\n"),
    "an index": (LAST, "    return o[:, :, torch.arange(o.shape[2])], S\n"),
    "the size of one": (LAST, "    return o * torch.ones(7).shape[0], S\n"),
}


@pytest.mark.parametrize("change", ANY_DEVICE.values(), ids=ANY_DEVICE)
def test_a_kernel_for_any_device_is_not_warned_about(sandbox: Sandbox, change: tuple[str, str]) -> None:
    assert "device" not in found(sandbox, changed(ANY_LENGTH, change), "shapes").message


@pytest.mark.parametrize("first", ["", "\ufeff"])
def test_a_file_with_a_byte_order_mark_is_checked_as_one_without(sandbox: Sandbox, tmp_path: Path, first: str) -> None:
    path = tmp_path / "marked.py"
    path.write_bytes((first + HEADER + ANY_LENGTH).encode())
    report = check(variant_from_file(path), sandbox)
    assert report.verdict == "pass"
