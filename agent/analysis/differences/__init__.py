"""Differences between variants: paired by seed, on fresh seeds, on the front, counting all that were tried."""
