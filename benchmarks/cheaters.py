"""What stops what: every cheater of the corpus through all checks, as a table.

python -m benchmarks.cheaters > docs/results/cheaters.md
python -m benchmarks.cheaters --only endless recurrent

A cheater that the static fence stops never runs. The last lines count the honest kernels that were rejected.
"""

import argparse
import ast
import sys
from collections import Counter
from pathlib import Path

from evaluator.checks import check
from evaluator.checks.runner import LIMITS
from evaluator.protocols.built_in import QUICK
from evaluator.sandbox import Limits, Sandbox
from evaluator.trials.evaluate import kernel_shapes
from variants.contract import Variant

CORPUS = Path(__file__).parents[1] / "tests"
TIGHT = Limits(wall_seconds=10.0, memory_bytes=2**29)


def main() -> None:
    """Print the table, or some of its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of these files, cheaters or honest")
    only = parser.parse_args().only
    cheaters, honest = ([path for path in sorted((CORPUS / kind).glob("*.py")) if not only or path.stem in only]
                        for kind in ("cheaters", "honest"))  # fmt: skip
    print("# What stops what\n\nMade by `python -m benchmarks.cheaters > docs/results/cheaters.md`.\n")
    with Sandbox() as sandbox:
        print(f"Sandbox grade {sandbox.grade}.\n\n| cheater | what it does | stopped by |\n|---|---|---|")
        caught: Counter[str] = Counter()
        for path in cheaters:
            stopped = stopped_by(path, sandbox)
            caught[stopped.split(",")[0]] += 1
            print(f"| {path.stem} | {purpose(path)} | {stopped} |", flush=True)
        print(f"\nFirst to stop: {', '.join(f'{name} {count}' for name, count in caught.most_common())}.", flush=True)
        rejected = []
        for path in honest:
            if (stopped := stopped_by(path, sandbox, None)) != "nothing":
                rejected.append(f"{path.stem} ({stopped})")
            sys.stderr.write(f"{path.stem}: stopped by {stopped}\n")
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
