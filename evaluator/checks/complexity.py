"""Cost in L, by counting the work rather than timing it: the count is the same on a busy machine."""

import math

from evaluator.checks.bench import Bench, Case
from evaluator.checks.findings import failed, passed
from evaluator.outcomes import Finding

LENGTHS = (256, 512, 1024, 2048)
EXPONENT = 1.3
CLEARLY_LINEAR = 1.05


def check_complexity(bench: Bench) -> Finding:
    """The work grows no faster than linearly with the length. Looks further only while it is in doubt."""
    costs: list[int] = []
    slope = 0.0
    for length in LENGTHS:
        inputs = bench.draw(Case((1, 1, length, 16, 16), seed=141))
        costs.append(bench.forward(inputs, count=True).work)
        if len(costs) > 1:
            slope = math.log2(max(costs[-1], 1) / max(costs[-2], 1))
        if len(costs) > 2 and slope < CLEARLY_LINEAR:
            break
    measured = dict(zip(map(str, LENGTHS), costs, strict=False))
    if slope > EXPONENT:
        message = f"work grows as L^{slope:.2f} between lengths {LENGTHS[len(costs) - 2]} and {LENGTHS[len(costs) - 1]}"
        return failed("complexity", message, {"exponent": round(slope, 3), "work": measured})
    return passed("complexity", f"work grows as L^{slope:.2f}")
