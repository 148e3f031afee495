"""What one run has asked for and proposed already, so that asks made at the same time do not propose the same."""

import ast
import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from archive.records.record import Proposal
from variants.contract import Variant
from variants.parsing import parse


class Claims:
    """Shared by all threads that use one proposer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: Counter[tuple[str, str]] = Counter()
        self._proposed: dict[str, str] = {}
        self._titles: dict[str, str] = {}
        self._identities: dict[str, str] = {}
        """By the hash of the source: a variant of the archive is parsed once in a run, and not at every ask."""

    def share(self, what: str, deserved: Mapping[str, float]) -> str | None:
        """The choice that has been given out least for what it deserves; the first of equals, None of no choices.

        `what`: the kind of choice; each has its own count.
        """
        with self._lock:
            if not deserved:
                return None
            chosen = min(deserved, key=lambda choice: (self._given[what, choice] + 1) / deserved[choice])
            self._given[what, chosen] += 1
            return chosen

    def titles(self, archived: Iterable[str]) -> dict[str, str]:
        """Titles by name of the proposals of this run that are not among the archived names."""
        known = set(archived)
        with self._lock:
            return {name: title for name, title in self._titles.items() if name not in known}

    def claim(self, proposal: Proposal, known: Iterable[Variant]) -> str | None:
        """Take the proposal's code for this ask; the name of whoever has it already, line for line, otherwise."""
        code = identity(proposal.variant.source)
        twins = {self._identity(variant): variant.name for variant in known}
        with self._lock:
            twin = self._proposed.get(code) or twins.get(code)
            if twin is None:
                self._proposed[code] = proposal.variant.name
                self._titles[proposal.variant.name] = proposal.title
            return twin

    def _identity(self, variant: Variant) -> str:
        key = variant.source_hash
        if (found := self._identities.get(key)) is None:
            found = self._identities[key] = identity(variant.source)
        return found


def identity(source: str) -> str:
    """Hash of the code without comments, layout and docstrings; of the text, where it is no Python."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode("utf-8", "replace")).hexdigest()
