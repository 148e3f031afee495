"""Length in tokens without a tokenizer: every model has its own, and none is needed to stay inside a budget."""

BYTES_PER_TOKEN = 3.0
"""Prose has about 4.5 bytes a token, code 3 to 3.5, tables of digits 2 to 3: an estimate on the safe side."""


def estimate_tokens(text: str) -> int:
    """An upper estimate of the tokens in `text`, for prose and code alike."""
    return int(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN) + 1
