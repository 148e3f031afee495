"""How much a kernel carries from chunk to chunk: a variant with a larger state has an advantage that is no idea.

The names come of parsing. What they hold is looked up in the kernel's own process: its word, for readers, no verdict.
"""

from evaluator.checks.bench import Bench, Case
from evaluator.checks.findings import passed, warned
from evaluator.outcomes import BASELINE_STATE, STATE_DIM, Finding, StateSize
from evaluator.sandbox import KernelClient
from variants.carried import carried
from variants.contract import CHUNK_SIZE, Variant

CHUNKS = (4, 8)


def check_state(bench: Bench, variant: Variant) -> Finding:
    """How much is carried; a warning where that is more than the baseline's, grows with the length, or is hidden."""
    found = measure_state(bench.client, variant)
    plain = found.numbers is not None and found.numbers <= BASELINE_STATE and not found.grows
    evidence = found.model_dump(mode="json")
    return passed("state", told(found), evidence) if plain else warned("state", told(found), evidence)


def told(state: StateSize) -> str:
    """The size in words."""
    if state.numbers is None:
        return "carries an unknown size from chunk to chunk: no loop, or one whose state is hidden from a reader"
    what = ", ".join(f"{name} {' x '.join(map(str, shape)) or 1}" for name, shape in state.shapes.items())
    carries = f"carries {state.numbers:,} numbers a head from chunk to chunk ({what})"
    if state.grows:
        return (
            f"{carries} after {CHUNKS[1]} chunks, and ever more; the baseline carries {BASELINE_STATE:,} at any length"
        )
    times = state.numbers / BASELINE_STATE
    return f"{carries}: " + {1.0: "as the baseline", 2.0: "twice the baseline's"}.get(
        times, f"{times:.3g} times the baseline's"
    )


def measure_state(client: KernelClient, variant: Variant) -> StateSize:
    """Measure at two lengths. Raises VariantFailed."""
    if (found := carried(variant.source)) is None or not found.names:
        return StateSize(numbers=None)
    sizes = []
    for chunks in CHUNKS:
        case = Case((1, 1, chunks * CHUNK_SIZE, STATE_DIM, STATE_DIM), seed=151)
        inputs = Bench(client, variant.contract).draw(case)
        held = client.held(found.names, found.head, inputs, chunk_size=CHUNK_SIZE)
        if not held:
            return StateSize(numbers=None)
        sizes.append(held)
    totals = [sum(numbers for numbers, _ in held.values()) for held in sizes]
    shapes = {
        name: shape[2:] if shape[:2] == (1, 1) else shape or (numbers,) for name, (numbers, shape) in sizes[1].items()
    }
    return StateSize(numbers=totals[1], shapes=shapes, grows=totals[1] > totals[0])
