"""What a variant changes outside the for-loop: a warning by hand, a failure in a search, and a short diff in both."""

import pytest

from agent.catalogue.genome import CATALOGUE, Genome
from agent.catalogue.mechanism import Mechanism
from agent.catalogue.render import render_variant
from agent.terminal.view import DIFF_LINES, check_lines, finding_lines
from evaluator import fence
from evaluator.checks.scope import check_scope
from evaluator.outcomes import CheckReport, Finding, Grade
from variants.contract import BASELINE, Variant
from variants.seeds import seed_variants, seeds

PARENT = seed_variants()[BASELINE]
STATE = "    S = q.new_zeros(B, H, Dk, Dv)\n"
LOOP = "    for i in range(len(q_n)):\n"
RETURN = "    return torch.cat(o_n, 2)"


def scope(old: str, new: str, *, loop_only: bool = True) -> Finding:
    assert old in PARENT.source
    changed = Variant(name="delta_net_4layer_x_in_for_loop", source=PARENT.source.replace(old, new))
    return check_scope(fence.parse(changed.source), changed, PARENT, loop_only=loop_only)


INITIALISED = {
    "zeros like the state": f"{STATE}    M = V = torch.zeros_like(S)\n",
    "two at once": f"{STATE}    M, n = torch.zeros_like(q_n[0]), q.new_zeros(B, H)\n",
    "a list": f"{STATE}    seen: list[torch.Tensor] = []\n",
    "constants": f"{STATE}    rate, scale = 0.9, Dk**-0.5\n    eps = torch.finfo(q.dtype).eps\n",
    "a table": f"{STATE}    place = torch.arange(chunk_size, device=q.device, dtype=q.dtype) / Dk\n",
    "the state from another start": "    S = torch.eye(Dk, Dv, dtype=q.dtype, device=q.device).expand(B, H, Dk, Dv)\n",
    "a helper": f"{STATE}    def gate(x):\n        return x.sigmoid()\n",
    "another place": STATE.replace("S = ", "M = q.new_zeros(1)\n    S = "),
    "a comment": f"    # the state\n{STATE}",
}


@pytest.mark.parametrize("new", INITIALISED.values(), ids=INITIALISED)
def test_initialising_carried_state_is_inside_the_loop(new: str) -> None:
    assert scope(STATE, new).status == "pass"


def test_what_the_loop_no_longer_needs_may_go() -> None:
    mask = "    future = torch.ones(chunk_size, chunk_size, dtype=torch.bool, device=q.device).triu(1)\n"
    assert scope(mask, "").status == "pass"


CHANGED = {
    "a factor": ("Dk**-0.5", "Dk**-0.25"),
    "a factor twice": ("    q = q * Dk**-0.5\n", "    q = q * Dk**-0.5\n    q = q * Dk**-0.5\n"),
    "the mask": (".triu(1)", ".triu(2)"),
    "an input over": (STATE, f"    q = torch.zeros_like(q)\n{STATE}"),
    "another name over": (STATE, f"    uw = q.new_zeros(1)\n{STATE}"),
    "from numbers of the inputs": (STATE, f"{STATE}    mean = k.mean()\n"),
    "from numbers made from them": (STATE, f"{STATE}    mean = k_n[0].mean()\n"),
    "through a fill": (STATE, f"{STATE}    M = torch.full_like(S, float(v.amax()))\n"),
    "a loop before": (LOOP, f"    for _ in range(1):\n        q_n = [x * 2 for x in q_n]\n{LOOP}"),
    "a branch": (LOOP, f"    if L > 64:\n        q_n = [x * 2 for x in q_n]\n{LOOP}"),
    "in place": (LOOP, f"    q_n[0].mul_(2)\n{LOOP}"),
    "after the loop": (RETURN, f"    S = torch.zeros_like(S)\n{RETURN}"),
    "the outputs": (RETURN, f"    o_n = [2 * x for x in o_n]\n{RETURN}"),
    "the result": (RETURN, "    return 2 * torch.cat(o_n, 2)"),
    "a decorator": ("def delta_rule", "@torch.no_grad()\ndef delta_rule"),
    "what a name stands for": ("from einops import rearrange", "from einops import repeat as rearrange"),
    "a decorator of the file": ("def delta_rule", "def twice(f):\n    return f\n\n\n@twice\ndef delta_rule"),
    "no loop": (PARENT.source[PARENT.source.index(LOOP) : PARENT.source.index(RETURN)], "    o_n = [v]\n"),
}


@pytest.mark.parametrize(("old", "new"), CHANGED.values(), ids=CHANGED)
def test_a_change_outside_the_loop_fails_in_a_search_and_warns_by_hand(old: str, new: str) -> None:
    failed, warned = scope(old, new), scope(old, new, loop_only=False)
    assert (failed.status, warned.status) == ("fail", "warn")
    assert failed.evidence == warned.evidence
    assert "outside the for-loop" in failed.message
    assert "initialised there" in failed.message
    lines = failed.evidence["diff"].splitlines()
    assert lines[:2] == [f"--- {BASELINE}", "+++ delta_net_4layer_x_in_for_loop"]
    assert any(line[0] in "+-" for line in lines[2:])


def test_a_helper_that_the_kernel_uses_outside_the_loop_belongs_to_it() -> None:
    helper = "def ready(x):\n    return 1.0 * x\n\n\ndef delta_rule"
    parent = PARENT.model_copy(
        update={
            "source": PARENT.source.replace("def delta_rule", helper).replace("q * Dk**-0.5", "ready(q) * Dk**-0.5")
        }
    )
    for old, new, status in (("1.0 * x", "2.0 * x", "fail"), ("S = S + k_i.mT", "S = 0.9 * S + k_i.mT", "pass")):
        other = parent.model_copy(update={"source": parent.source.replace(old, new)})
        assert check_scope(fence.parse(other.source), other, parent, loop_only=True).status == status


def test_the_diff_has_the_lines_of_the_files() -> None:
    found = scope("Dk**-0.5", "Dk**-0.25")
    number = PARENT.source.splitlines().index("    q = q * Dk**-0.5") + 1
    assert found.evidence["diff"].splitlines()[2:] == [
        f"@@ -{number} +{number} @@", "-    q = q * Dk**-0.5", "+    q = q * Dk**-0.25",
    ]  # fmt: skip
    assert f"in line {number}" in found.message


MECHANISMS = [mechanism for own in CATALOGUE.values() for mechanism in own]


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda mechanism: mechanism.__name__)
def test_every_mechanism_keeps_to_the_loop(mechanism: type[Mechanism]) -> None:
    (slot,) = [slot for slot, own in CATALOGUE.items() if mechanism in own]
    variant = render_variant(Genome(**{slot: mechanism()}))  # type: ignore[arg-type]
    assert check_scope(fence.parse(variant.source), variant, PARENT, loop_only=True).status == "pass"


@pytest.mark.parametrize("name", seeds())
def test_every_seed_keeps_to_the_loop(name: str) -> None:
    seed = seeds()[name]
    parent = seeds()[seed.parent].variant if seed.parent else None
    assert check_scope(fence.parse(seed.variant.source), seed.variant, parent, loop_only=True).status == "pass"


def report(*findings: Finding) -> CheckReport:
    fails = any(finding.status == "fail" for finding in findings)
    return CheckReport(
        name="x", verdict="fail" if fails else "pass", sandbox_grade=Grade.A, seconds=1.0, findings=findings
    )


PASS = Finding(check="syntax", status="pass", message="the source parses")
WARN = Finding(check="lengths", status="warn", message="whole chunks only", evidence={"padded": {"1": 32}, "length": 1})
FAIL = Finding(
    check="causality", status="fail", message="output 3 moves", evidence={"cut": 4, "lines": list(range(40))}
)


def test_failures_come_first_and_the_verdict_with_its_reason_last() -> None:
    lines = check_lines(report(PASS, WARN, FAIL))
    assert [line.split("]")[1][:4] for line in lines] == ["fail", "warn", "pass", "fail"]
    assert "x: causality: output 3 moves" in lines[-1]
    assert check_lines(report(PASS))[-1].startswith("[green]pass[/]  x: no check failed")
    assert "warnings of lengths" in check_lines(report(WARN, PASS))[-1]
    second = FAIL.model_copy(update={"check": "prefix", "message": "other"})
    assert "and prefix" in check_lines(report(FAIL, second))[-1]


def test_a_long_reason_is_cut_in_the_last_line_only() -> None:
    long = FAIL.model_copy(update={"message": "word " * 100})
    first, last = check_lines(report(long))
    assert long.message in first
    assert len(last) < len(first)


def test_a_diff_is_short_unless_all_of_it_is_asked_for() -> None:
    diff = "\n".join(f"+line {number}" for number in range(30))
    found = Finding(check="scope", status="warn", message="differs", evidence={"parent": BASELINE, "diff": diff})
    short, whole = finding_lines(found), finding_lines(found, verbose=True)
    assert len(short) == 1 + DIFF_LINES + 1
    assert "20 more lines" in short[-1]
    assert len(whole) == 1 + 30
    assert found.model_dump(mode="json")["evidence"]["diff"] == diff


def test_evidence_is_never_a_python_list_of_strings() -> None:
    found = FAIL.model_copy(update={"evidence": {"names": ["a", "b"], "violations": [{"line": 1, "what": "x" * 80}]}})
    assert "'" not in "".join(finding_lines(found, verbose=True))
    assert "violations" not in finding_lines(found)[0]
    assert "violations" in finding_lines(found, verbose=True)[0]
