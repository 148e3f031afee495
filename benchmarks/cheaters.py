"""What stops what: every cheater of the corpus through all checks, as a table.

python -m benchmarks.cheaters > docs/results/cheaters.md

A cheater that the static fence stops never runs. The last lines count the honest kernels that were rejected.
"""

import ast
from collections import Counter
from pathlib import Path

from evaluator.checks import check
from evaluator.checks.runner import LIMITS
from evaluator.evaluate import kernel_shapes
from evaluator.protocol import QUICK
from evaluator.sandbox import Limits, Sandbox
from variants.contract import Variant

CORPUS = Path(__file__).parents[1] / "tests"
TIGHT = Limits(wall_seconds=10.0, memory_bytes=2**29)


def main() -> None:
    """Print the table."""
    print("# What stops what\n\nMade by `python -m benchmarks.cheaters > docs/results/cheaters.md`.\n")
    with Sandbox() as sandbox:
        print(f"Sandbox grade {sandbox.grade}.\n\n| cheater | what it does | stopped by |\n|---|---|---|")
        caught: Counter[str] = Counter()
        for path in sorted((CORPUS / "cheaters").glob("*.py")):
            stopped = stopped_by(path, sandbox)
            caught[stopped.split(",")[0]] += 1
            print(f"| {path.stem} | {purpose(path)} | {stopped} |", flush=True)
        honest = sorted((CORPUS / "honest").glob("*.py"))
        rejected = [path.stem for path in honest if stopped_by(path, sandbox, None) != "nothing"]
    print(f"\nFirst to stop: {', '.join(f'{name} {count}' for name, count in caught.most_common())}.")
    names = f": {', '.join(rejected)}" if rejected else ""
    print(f"\nOf {len(honest)} honest kernels, {len(rejected)} were rejected{names}.")


def stopped_by(path: Path, sandbox: Sandbox, limits: Limits | None = TIGHT) -> str:
    """Names of the checks that fail; "nothing" if none does."""
    variant = Variant.from_file(path)
    shapes = kernel_shapes(QUICK)  # as the command has them
    report = check(variant, sandbox, shapes=shapes, limits=limits or LIMITS)
    failing = [finding.check for finding in report.findings if finding.status == "fail"]
    return ", ".join(failing) or "nothing"


def purpose(path: Path) -> str:
    """First line of the docstring; of a file that does not parse, nothing."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    except SyntaxError:
        return "does not parse"
    return text.splitlines()[0].replace("|", "\\|") if text else ""


if __name__ == "__main__":
    main()
