"""Parsing: what Python reads and cannot write."""

import pytest

from variants.parsing import parse


def test_an_integer_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2: an integer of about 4300 digits or more"):
        parse(f"x = 1\ny = 0x{'f' * 5000}\n")
    assert parse(f"x = 0x{'f' * 3000}\n# {'long' * 2000}\n")
