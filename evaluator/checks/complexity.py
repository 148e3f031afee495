"""Cost in L: the work counted in the kernel's process, the same on a busy machine, and CPU time measured from outside.

The count is that process's own word. Time is nobody's word, but coarse: it is asked for clear violations only.
"""

import math

from evaluator.checks.bench import Bench, Case
from evaluator.checks.findings import failed, passed
from evaluator.outcomes import Finding

LENGTHS = (256, 512, 1024, 2048)
EXPONENT = 1.3
CLEARLY_LINEAR = 1.05
TIMED = (512, 2048, 8192)
SLOW = 0.05
"""CPU-seconds at the middle length from which on the longest is not tried."""
TIMED_EXPONENT = 1.5
TRIES = 3


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
    return _against_the_clock(bench) or passed("complexity", f"work grows as L^{slope:.2f}")


def _against_the_clock(bench: Bench) -> Finding | None:
    """A failure where CPU time says so again and again, by the quickest call at each length: busy machines vary."""
    quickest: dict[int, float] = {}

    def measure(length: int) -> float:
        quickest[length] = min(_cpu_seconds(bench, length), quickest.get(length, math.inf))
        return quickest[length]

    for _ in range(TRIES):
        other = TIMED[0] if measure(TIMED[1]) > SLOW else TIMED[2]
        measure(other)
        short, long = sorted((TIMED[1], other))
        slope = math.log(quickest[long] / quickest[short], long / short)
        if slope <= TIMED_EXPONENT:
            return None
    message = f"CPU time grows as L^{slope:.2f} between lengths {short} and {long}"
    evidence = {"exponent": round(slope, 3), "cpu_seconds": {str(length): quickest[length] for length in (short, long)}}
    return failed("complexity", message, evidence)


def _cpu_seconds(bench: Bench, length: int) -> float:
    """CPU time of one call, the quicker of two: the first at a length may have to ask for memory."""
    inputs = bench.draw(Case((1, 1, length, 16, 16), seed=142))
    measured = []
    for _ in range(2):
        began = bench.client.cpu_seconds_so_far()
        bench.forward(inputs)
        measured.append(bench.client.cpu_seconds_so_far() - began)
    return min(measured)
