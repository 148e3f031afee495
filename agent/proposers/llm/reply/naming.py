"""Names of variants, made from what a model calls its idea."""

import re
from collections.abc import Container

from agent.proposers.llm.prompt.facts import LONGEST_IDEA
from variants.contract import CONTRACTS, Layer

SUFFIX = "_in_for_loop"


def variant_name(idea: str, layer: Layer) -> str:
    """`delta_net_4layer_<idea>_in_for_loop`, whether or not the idea came with those ends."""
    slug = re.sub(r"[^a-z0-9]+", "_", idea.lower()).strip("_")
    slug = re.sub(r"^(gated_)?delta_net_4layer_?|_?in_for_loop$", "", slug)
    return f"{CONTRACTS[layer].prefix}{slug[:LONGEST_IDEA].strip('_') or 'unnamed'}{SUFFIX}"


def free_name(name: str, taken: Container[str]) -> str:
    """The name, or with `_2`, `_3`, ... before its end where it is taken."""
    stem = name.removesuffix(SUFFIX)
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{stem}_{number}{SUFFIX}"
    return candidate


def same_idea(name: str, other: str) -> bool:
    """Whether the names differ at most by the number that `free_name` adds."""
    return _unnumbered(name) == _unnumbered(other)


def _unnumbered(name: str) -> str:
    return re.sub(r"_\d+$", "", name.removesuffix(SUFFIX))
