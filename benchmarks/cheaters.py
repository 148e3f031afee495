"""What stops what: every cheater of the corpus through all checks, as a table.

python -m benchmarks.cheaters > docs/results/cheaters.md
python -m benchmarks.cheaters --only endless recurrent

A cheater that the static fence stops never runs. The last lines count the honest kernels that were rejected.
"""

import argparse
import sys
from collections import Counter

from evaluator.checks import check
from evaluator.checks.runner import LIMITS
from evaluator.protocols.built_in import QUICK
from evaluator.sandbox import Limits, Sandbox
from evaluator.trials.evaluate import kernel_shapes
from tests.corpus.cases import CHEATERS, HONEST, Case

TIGHT = Limits(wall_seconds=10.0, memory_bytes=2**29)


def main() -> None:
    """Print the table, or some of its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of these cases, cheaters or honest")
    only = parser.parse_args().only
    cheaters, honest = ({name: cases[name] for name in sorted(cases) if not only or name in only}
                        for cases in (CHEATERS, HONEST))  # fmt: skip
    print("# What stops what\n\nMade by `python -m benchmarks.cheaters > docs/results/cheaters.md`.\n")
    with Sandbox() as sandbox:
        print(f"Sandbox grade {sandbox.grade}.\n\n| cheater | what it does | stopped by |\n|---|---|---|")
        caught: Counter[str] = Counter()
        for name, case in cheaters.items():
            stopped = stopped_by(case, sandbox)
            caught[stopped.split(",")[0]] += 1
            sentence = case.sentence.replace("|", "\\|")
            print(f"| {name} | {sentence} | {stopped} |", flush=True)
        print(f"\nFirst to stop: {', '.join(f'{name} {count}' for name, count in caught.most_common())}.", flush=True)
        rejected = []
        for name, case in honest.items():
            if (stopped := stopped_by(case, sandbox, None)) != "nothing":
                rejected.append(f"{name} ({stopped})")
            sys.stderr.write(f"{name}: stopped by {stopped}\n")
    names = f": {', '.join(rejected)}" if rejected else ""
    print(f"\nOf {len(honest)} honest kernels, {len(rejected)} were rejected{names}.")


def stopped_by(case: Case, sandbox: Sandbox, limits: Limits | None = TIGHT) -> str:
    """Names of the checks that fail; "nothing" if none does."""
    shapes = kernel_shapes(QUICK, case.variant.layer)  # as the command has them
    report = check(case.variant, sandbox, shapes=shapes, limits=limits or LIMITS)
    failing = [finding.check for finding in report.findings if finding.status == "fail"]
    return ", ".join(failing) or "nothing"


if __name__ == "__main__":
    main()
