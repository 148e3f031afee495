"""State Tracking: the running product of permutations, the word problem of a symmetric group (arXiv 2404.08819)."""

from functools import cache
from itertools import permutations
from math import factorial

import numpy as np

from evaluator.tasks.examples import Examples, Ints, Split
from evaluator.tasks.task import Setting, Streams, Task, plan

DEGREES = (3, 4, 5)


def draw(setting: Setting, split: Split, count: int, streams: Streams) -> Examples:
    """Elements of the symmetric group of degree `S`; a token is a permutation's place in lexicographic order.

    At `moves` percent of the positions, each for itself, a swap of two neighbours, all of them alike; elsewhere the
    identity. Targets of training and test alike, at every position: the product of all elements so far, the first
    applied first.
    """
    rng, table, swaps = streams(split), products(setting.option("S")), neighbour_swaps(setting.option("S"))
    shape = (count, setting.length)
    moves = rng.random(shape) < setting.option("moves") / 100
    inputs = np.where(moves, rng.choice(swaps, size=shape), 0)  # the identity is the first in lexicographic order
    targets = np.empty_like(inputs)
    state = np.zeros(count, dtype=np.int64)
    for position, tokens in enumerate(inputs.T):
        targets[:, position] = state = table[tokens, state]
    return Examples.of(inputs, targets)


@cache
def products(degree: int) -> Ints:
    """`[n!, n!]`: entry (a, b) is the place of "b, then a", that is i -> a[b[i]]."""
    elements = _elements(degree)
    digits = degree ** np.arange(degree)[::-1]  # read as numbers of base n, the elements rise in lexicographic order
    return np.searchsorted(elements @ digits, elements[:, elements] @ digits)


@cache
def neighbour_swaps(degree: int) -> Ints:
    """Places of the n - 1 swaps of neighbours: together they generate the group."""
    displacement = np.abs(_elements(degree) - np.arange(degree))
    return np.flatnonzero((displacement.sum(1) == 2) & (displacement.max(1) == 1))


def _elements(degree: int) -> Ints:
    """`[n!, n]`: the permutations of 0 to n - 1 in lexicographic order."""
    return np.array(list(permutations(range(degree))))


def problem(setting: Setting) -> str:
    """Why a setting is not possible; empty if it is."""
    options = dict(setting.options)
    degree, moves = options.get("S", 0), options.get("moves", 0)
    if degree not in DEGREES:
        return f"its option S, the degree of the symmetric group, must be 3, 4 or 5, not {degree}"
    if not 0 < moves <= 100:
        return f"its option moves, the percentage of swaps, must be between 1 and 100, not {moves}"
    order = factorial(degree)
    return "" if setting.vocabulary == order else f"S{degree} has {order} elements: vocabulary must be {order}"


def _setting(degree: int, moves: int) -> Setting:
    return Setting(
        task="State Tracking",
        vocabulary=factorial(degree),
        length=64,
        train_examples=12_800,
        options=(("S", degree), ("moves", moves)),
    )


STATE_TRACKING = Task(
    name="State Tracking",
    short="State",
    suite="recall+",
    words=r"state[- ]tracking",
    about="each token is a permutation, of 3 objects in one setting and of 5 in another: at some positions a swap of "
    "two neighbours, at all others the one that changes nothing; name the product of all so far, where order counts",
    counts="the running product, at every position",
    draw=draw,
    special_tokens=0,
    problem=problem,
    plans={"extra": plan(_setting(3, 15), _setting(5, 15), steps=180, lr=6e-3)},
)
