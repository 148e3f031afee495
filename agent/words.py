"""Numbers and names as sentences use them."""

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number(count: int) -> str:
    """A small number as a word: `six`; a larger one in digits."""
    return _NUMBERS[count] if 0 < count < len(_NUMBERS) else f"{count:,}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 proposal`, `5 proposals`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(words: list[str]) -> str:
    """`a, b and c`; empty for none."""
    *first, last = words or [""]
    return f"{', '.join(first)} and {last}" if first else last
