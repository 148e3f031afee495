"""All checks of one variant, cheapest first, each failure with its counterexample."""

import ast
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Literal

import torch

from evaluator import fence
from evaluator.checks import behaviour, causality, complexity, gradients, independence, prefix, signature
from evaluator.checks.bench import Bench
from evaluator.checks.findings import failed, message_and_evidence, passed, warned
from evaluator.checks.fingerprint import PROBES, PROBES_HASH, Fingerprint, Twin, fingerprint
from evaluator.checks.inert import inert_settings
from evaluator.checks.inputs import TaskShape
from evaluator.checks.precision import Precision, precision
from evaluator.checks.scope import check_scope
from evaluator.checks.state import check_state
from evaluator.checks.suspects import is_of_outputs, pointed
from evaluator.outcomes import CheckName, CheckReport, Finding
from evaluator.sandbox import Limits, Sandbox, VariantFailed
from evaluator.tasks.names import TaskName
from variants.contract import Variant

LIMITS = Limits(wall_seconds=20.0, cpu_seconds=120)
FAILURES: dict[str, CheckName] = {"timeout": "timeout", "memory": "memory", "crash": "crash", "garbage": "signature"}
MANY = 5
ENDS = ("lengths", "determinism")
"""Checks after which a failure ends the others. The form is wrong: nothing more can be asked. Random numbers are drawn:
all others compare two runs, and would find that again."""


def check(
    variant: Variant,
    sandbox: Sandbox,
    *,
    parent: Variant | None = None,
    shapes: Mapping[TaskName, Mapping[str, TaskShape]] | None = None,
    known: Callable[[Fingerprint], Twin | None] | None = None,
    loop_only: bool = False,
    limits: Limits = LIMITS,
) -> CheckReport:
    """Run every check. The source is judged first, and does not reach the sandbox if that fails.

    parent: to find the settings at which the variant cannot differ from it, and what it changes outside the for-loop.
    shapes: what the kernel will meet, per task and setting. known: names the variant that has a fingerprint. loop_only:
    whether a change outside the for-loop fails, as it does in a search; else it warns.
    """
    began = time.monotonic()
    checking = Checking(variant, sandbox, parent=parent, shapes=shapes, loop_only=loop_only, limits=limits)
    findings = tuple(checking.findings())
    inert, print_ = checking.inert, checking.fingerprint
    verdict: Literal["pass", "fail"] = "fail" if any(finding.status == "fail" for finding in findings) else "pass"
    wholly = tuple(task for task, own in checking.shapes.items() if len(inert.get(task, ())) == len(own))
    no_op = parent is not None and bool(checking.shapes) and len(wholly) == len(checking.shapes)
    twin = known(print_) if known and print_ and verdict == "pass" else None
    return CheckReport(
        name=variant.name,
        verdict=verdict,
        duplicate_of=twin.name if twin else parent.name if no_op and parent is not None else None,
        multiple=twin.multiple if twin else None,
        no_op=no_op,
        inert_tasks=wholly,
        inert_settings=inert,
        sandbox_grade=sandbox.grade,
        seconds=round(time.monotonic() - began, 3),
        findings=findings,
        fingerprint=print_,
        probes=PROBES_HASH if print_ else "",
    )


def static_findings(
    variant: Variant, parent: Variant | None, *, loop_only: bool = False
) -> tuple[list[Finding], ast.Module | None]:
    """What reading the source tells, and its syntax tree if it may be run."""
    try:
        tree = fence.parse(variant.source)
    except fence.SourceError as error:
        return [failed("syntax", str(error), {})], None
    findings = [passed("syntax", "the source parses")]
    if violations := fence.violations(tree):
        what = "; ".join(f"line {line}: {what}" for line, what in violations[:MANY])
        more = f"; and {len(violations) - MANY} more" if len(violations) > MANY else ""
        evidence = {"violations": [{"line": line, "what": what} for line, what in violations]}
        return [*findings, failed("fence", f"{what}{more}. {fence.POINTER}", evidence)], None
    findings.append(_taken_off(fence.taken_off(variant.source)))
    findings.append(signature.check_definition(tree, variant.contract))
    findings.append(check_scope(tree, variant, parent, loop_only=loop_only))
    unfit = any(finding.status == "fail" and finding.check != "scope" for finding in findings)
    return findings, None if unfit else tree


def _taken_off(compilers: Sequence[fence.Violation]) -> Finding:
    if not compilers:
        return passed("fence", "computes on its inputs only")
    where = "; ".join(f"line {line}: {what}" for line, what in compilers)
    message = f"computes on its inputs only; taken off, since archer runs kernels as plain Python: {where}"
    return warned("fence", message, {"taken_off": [{"line": line, "what": what} for line, what in compilers]})


class Checking:
    """The checks of one variant, each made when its finding is asked for. Arguments as of `check`."""

    def __init__(
        self,
        variant: Variant,
        sandbox: Sandbox,
        *,
        parent: Variant | None = None,
        shapes: Mapping[TaskName, Mapping[str, TaskShape]] | None = None,
        loop_only: bool = False,
        limits: Limits = LIMITS,
    ) -> None:
        self.variant, self.sandbox, self.parent, self.shapes = variant, sandbox, parent, shapes or {}
        self.loop_only, self.limits = loop_only, limits
        self.refused: dict[int, str] = {}
        self.inert: dict[TaskName, tuple[str, ...]] = {}
        """Settings of tasks at which the variant cannot differ from its parent; known once all findings are."""
        self.fingerprint: Fingerprint = ()
        """Known once all findings are, if none of them is a failure."""

    def findings(self) -> Iterator[Finding]:
        """Findings in order, cheapest first. One that ends the process, or leaves nothing to judge, is the last."""
        static, tree = static_findings(self.variant, self.parent, loop_only=self.loop_only)
        yield from static
        if tree is not None:
            yield from self._by_running(tree)

    def _by_running(self, tree: ast.Module) -> Iterator[Finding]:
        with ExitStack() as stack:
            try:
                bench = self._bench(stack, self.variant)
                measured = precision(bench)
                bench.finest = measured.dtype
                self.refused = behaviour.refused_sizes(bench, self._sizes())
                broken = no_numbers = False
                for run in self._checks(stack, bench, measured, tree):
                    finding = pointed(run(), tree, no_numbers)
                    broken |= finding.status == "fail"
                    no_numbers |= is_of_outputs(finding)
                    yield finding
                    if broken and finding.check in ENDS:
                        return
                if not broken:
                    self._facts(stack, bench, torch.float32 if measured.limit else torch.float64)
            except VariantFailed as error:
                yield failed(FAILURES.get(error.failure.kind, "crash"), *message_and_evidence(error))

    def _checks(
        self, stack: ExitStack, bench: Bench, measured: Precision, tree: ast.Module
    ) -> Iterator[Callable[[], Finding]]:
        longest = (max(own.values(), key=lambda found: found.shape[2]) for own in self.shapes.values())
        usable = {found: None for found in longest if found.chunk_size not in self.refused}
        yield lambda: behaviour.check_shapes(bench, measured)
        yield lambda: behaviour.check_lengths(bench, self.refused)
        yield lambda: behaviour.check_finite(bench)
        yield lambda: behaviour.check_mutation(bench, usable)
        yield lambda: gradients.check_gradients(bench, tree)
        yield lambda: independence.check_batch(bench)
        yield lambda: independence.check_heads(bench)
        yield lambda: prefix.check_prefix(bench, tuple(usable), self.refused)
        yield lambda: causality.check_causality(bench, tuple(usable), self.refused)
        yield lambda: complexity.check_complexity(bench)
        yield lambda: check_state(bench, self.variant)
        yield lambda: behaviour.check_determinism(bench, self._bench(stack, self.variant))

    def _facts(self, stack: ExitStack, bench: Bench, dtype: torch.dtype) -> None:
        """dtype: float64 where the kernel takes it, however it computes, so that prints stay what they are."""
        self.fingerprint = fingerprint(bench.client, self.variant.contract, self.refused, dtype)
        usable = {
            task: {setting: found for setting, found in own.items() if found.chunk_size not in self.refused}
            for task, own in self.shapes.items()
        }
        if self.parent is not None and self.parent.source != self.variant.source:
            parent = self._bench(stack, self.parent)
            parent.finest = precision(parent).dtype
            self.inert = inert_settings(bench, parent, usable)

    def _sizes(self) -> set[int]:
        of_tasks = (found.chunk_size for own in self.shapes.values() for found in own.values())
        return {*causality.CHUNK_SIZES, *prefix.CHUNK_SIZES, *of_tasks, *(probe.chunk_size for probe in PROBES)}

    def _bench(self, stack: ExitStack, variant: Variant) -> Bench:
        client = stack.enter_context(self.sandbox.kernel(variant, self.limits))
        return Bench(client, variant.contract)
