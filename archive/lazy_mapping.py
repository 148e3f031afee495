"""A mapping whose values are made when they are looked at."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LazyMapping(Mapping[K, V], Generic[K, V]):
    """Values by key, each made once, by a function: of a large archive most are never looked at."""

    def __init__(self, keys: Collection[K], make: Callable[[K], V]) -> None:
        """keys: in the mapping's order; `in` should be fast. make: returns the value of a key."""
        self._keys = keys
        self._make = make
        self._made: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        """The value. Raises KeyError for another key, and what making it raises."""
        if key not in self._made:
            if key not in self._keys:
                raise KeyError(key)
            self._made[key] = self._make(key)
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        """Whether there is a value, without making it."""
        return key in self._keys

    def __iter__(self) -> Iterator[K]:
        """The keys."""
        return iter(self._keys)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)
