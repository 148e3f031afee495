"""Does not parse."""


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32:
    return q
