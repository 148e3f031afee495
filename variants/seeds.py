"""The seed variants: the files beside this module, and what is known of where each comes from."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from variants.contract import BASELINE, REFERENCE, Variant, VariantName

HERE = Path(__file__).parent
STEM = "*delta_net_4layer*.py"

PARENTS: dict[VariantName, VariantName] = {
    "delta_net_4layer_adaptive_gated_softmax_attention_in_for_loop": "delta_net_4layer_softmax_attention_in_for_loop",
    "delta_net_4layer_cosine_softmax_attention_error_gated_update_in_for_loop": (
        "delta_net_4layer_cosine_softmax_attention_in_for_loop"
    ),
    "delta_net_4layer_cosine_softmax_attention_in_for_loop": "delta_net_4layer_softmax_attention_in_for_loop",
    "delta_net_4layer_hybrid_softmax_raw_attention_in_for_loop": "delta_net_4layer_softmax_attention_in_for_loop",
    "delta_net_4layer_topk_softmax_attention_in_for_loop": "delta_net_4layer_softmax_attention_in_for_loop",
}
"""Seeds that refine another seed, read off their names; every other one derives from the baseline."""

PROPOSED: frozenset[VariantName] = frozenset(
    {
        "delta_net_4layer_frobenius_renorm_state_update_in_for_loop",
        "delta_net_4layer_l2_normalized_error_state_update_in_for_loop",
    }
)
"""Seeds that a published report proposed and nobody scored."""


@dataclass(frozen=True)
class Seed:
    """A seed variant with its origin. `parent` is None for the baseline and the reference."""

    variant: Variant
    origin: Literal["published", "proposed"]
    parent: VariantName | None


@cache
def seeds() -> dict[str, Seed]:
    """All seeds by name, in alphabetical order: the baseline, the gated reference, 20 published and 2 proposed."""
    variants = (Variant.from_file(path) for path in sorted(HERE.glob(STEM)))
    return {variant.name: Seed(variant, _origin(variant.name), _parent(variant.name)) for variant in variants}


def seed_variants() -> dict[str, Variant]:
    """The sources of all seeds by name."""
    return {name: seed.variant for name, seed in seeds().items()}


def _origin(name: VariantName) -> Literal["published", "proposed"]:
    return "proposed" if name in PROPOSED else "published"


def _parent(name: VariantName) -> VariantName | None:
    return None if name in (BASELINE, REFERENCE) else PARENTS.get(name, BASELINE)
