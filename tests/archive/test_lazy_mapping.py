"""A mapping whose values are made when they are looked at."""

import pytest

from archive.lazy_mapping import LazyMapping


def test_each_value_is_made_once_and_when_it_is_looked_at():
    made: list[str] = []
    found = LazyMapping({"b": 0, "a": 0}, lambda key: made.append(key) or key.upper())
    assert (list(found), len(found), "a" in found, "c" in found) == (["b", "a"], 2, True, False)
    assert made == []
    assert (found["a"], found["a"], found.get("c")) == ("A", "A", None)
    assert made == ["a"]
    assert found == {"a": "A", "b": "B"}
    with pytest.raises(KeyError, match="c"):
        found["c"]
