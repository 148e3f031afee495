"""Numbers, names and verdicts as people read them: terminal, reports, site and tables round and speak alike."""

from collections.abc import Mapping
from typing import Any

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number(count: int) -> str:
    """A small number as a word: `six`; a larger one in digits."""
    return _NUMBERS[count] if 0 < count < len(_NUMBERS) else f"{count:,}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 proposal`, `5 proposals`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def rounded(count: float) -> str:
    """A count to three digits: `96`, `16.9k`, `6.29M`."""
    for scale, unit in ((10**6, "M"), (10**3, "k")):
        if count >= 0.9995 * scale:
            return f"{count / scale:.3g}{unit}" if count < 1000 * scale else f"{count / scale:,.0f}{unit}"
    return f"{count:.0f}"


def times(factor: float) -> str:
    """`2×`, `1.01×`, `0`: to three digits, and never `1×` for what is more."""
    text = f"{factor:.3g}"
    if text == "1" and factor > 1:
        text = "1.001"
    return f"{text}×" if factor else "0"


def size(count: float) -> str:
    """Bytes: `900 KiB`, `12 MiB`, `1.4 GiB`."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if count < 10 * scale else f"{count / scale:.0f} {unit}"
    return f"{count / 2**10:.0f} KiB"


def twin_words(name: str, multiple: float | None) -> str:
    """What a duplicate computes: `the same as NAME`, or a multiple of it."""
    if multiple is None:
        return f"the same as {name}"
    scale = f"{multiple:.3g} times what {name} does"
    return f"{scale}: the mixer norms the output of its heads, so but for the norm's epsilon this is the same"


def listed(words: list[str]) -> str:
    """`a, b and c`; empty for none."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last


def plain(value: Any) -> str:
    """A value from JSON as people write it: three digits, `2 x 100 x 16` for sizes, `a, b and c` for a list."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.3g}"
        case list() | tuple():
            sizes = len(value) > 1 and all(type(each) is int for each in value)
            return " x ".join(map(str, value)) if sizes else listed([plain(each) for each in value]) or "none"
        case dict():
            return "; ".join(f"{key} {plain(each)}" for key, each in value.items())
        case _:
            return str(value)


NO_EFFECT = "NO EFFECT"
"""In place of the status SCORED where the change never acted."""
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "indistinguishable": "within noise",
    "inert": "cannot differ",
}
"""What people read for each outcome that JSON and files name."""
ONE_SEED = "one seed each"
"""In place of a verdict where a single seed was compared, so that nothing tells of noise."""
TOLD = VERDICTS | {"single": ONE_SEED}
"""The words of each `told_outcome`."""


def told_outcome(outcome: str, n: int) -> str:
    """The outcome over `n` seeds as it is told: `single` where one seed each was compared, which tells of no noise."""
    return "single" if n < 2 and outcome != "inert" else outcome


def verdict_words(outcome: str, n: int) -> str:
    """The verdict on a difference over `n` seeds."""
    return TOLD[told_outcome(outcome, n)]


def accuracy(value: float) -> str:
    """An accuracy, 0 to 1, to three digits: `0.412`."""
    return f"{value:.3f}"


def signed(difference: float) -> str:
    """A difference with its sign: `+0.012`; with a fourth digit where three would be zero: `-0.0004`; `0` for none."""
    if abs(difference) < 0.00005:
        return "0"
    return f"{difference:+.4f}" if abs(difference) < 0.0005 else f"{difference:+.3f}"


def distance(value: float | None) -> str:
    """A distance to the challenge, in units of noise: `1.4`; a dash where there is none."""
    return "–" if value is None else f"{value:.1f}"


def lacking_words(lacking: Mapping[str, float], differences: Mapping[str, float]) -> str:
    """What is lacking to the goals, in units of noise, each with its difference to the reference; empty for nothing."""
    return ", ".join(f"{task} {distance(lack)} ({signed(differences[task])})" for task, lack in lacking.items() if lack)


def interval(low: float, high: float) -> str:
    """`[0.381, 0.443]`."""
    return f"[{accuracy(low)}, {accuracy(high)}]"


def signed_interval(low: float, high: float) -> str:
    """`[-0.012, +0.030]`."""
    return f"[{signed(low)}, {signed(high)}]"
