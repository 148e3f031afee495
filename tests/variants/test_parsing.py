"""Parsing: what is none, and what Python reads and cannot write."""

import pytest

from variants.parsing import parse


        parse(f"x = 1\ny = 0x{'f' * 5000}\n")
    assert parse(f"x = 0x{'f' * 3000}\n# {'long' * 2000}\n")
