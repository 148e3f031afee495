"""Times as people say them."""


def duration(seconds: float) -> str:
    """A rough time in the largest unit that keeps two digits: `12 s`, `3.4 min`, `5.6 h`, `78 days`."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
