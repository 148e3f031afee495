"""The seed variants: the files beside this module and in `found/`, and where each comes from."""

from collections.abc import Iterator
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
    "delta_net_4layer_own_error_skip_decay_state_update_in_for_loop": "delta_net_4layer_decay_state_update_in_for_loop",
    "delta_net_4layer_own_value_skip_in_for_loop": "delta_net_4layer_normalize_keys_in_for_loop",
    "delta_net_4layer_own_written_value_skip_in_for_loop": "delta_net_4layer_own_value_skip_in_for_loop",
    "delta_net_4layer_phase_echo_decay_state_update_in_for_loop": "delta_net_4layer_decay_state_update_in_for_loop",
    "delta_net_4layer_channel_product_keys_phase_echo_decay_in_for_loop": (
        "delta_net_4layer_phase_echo_decay_state_update_in_for_loop"
    ),
    "delta_net_4layer_own_error_all_channels_product_keys_added_phase_echo_decay_in_for_loop": (
        "delta_net_4layer_own_error_skip_decay_state_update_in_for_loop"
    ),
    "delta_net_4layer_written_echo_and_successor_halves_own_error_in_for_loop": (
        "delta_net_4layer_own_error_all_channels_product_keys_added_phase_echo_decay_in_for_loop"
    ),
    "delta_net_4layer_products_only_state_written_echo_successor_own_error_in_for_loop": (
        "delta_net_4layer_own_value_skip_in_for_loop"
    ),
}
"""Seeds that refine another seed: the published ones read off their names, the found ones as their records say.

Every other one derives from the baseline.
"""

PROPOSED: frozenset[VariantName] = frozenset(
    {
        "delta_net_4layer_frobenius_renorm_state_update_in_for_loop",
        "delta_net_4layer_l2_normalized_error_state_update_in_for_loop",
    }
)
"""Seeds that a published report proposed and nobody scored."""


Origin = Literal["published", "proposed", "found"]
"""Published with scores; proposed in a published report, without scores; found by a search of archer."""


@dataclass(frozen=True)
class Seed:
    """A seed variant with its origin. `parent` is None for the baseline and the reference."""

    variant: Variant
    origin: Origin
    parent: VariantName | None


@cache
def seeds() -> dict[str, Seed]:
    """All seeds by name: the baseline, the gated reference, 20 published and 2 proposed, then the 8 found."""
    known: list[tuple[Variant, Origin]] = [
        (variant, "proposed" if variant.name in PROPOSED else "published") for variant in _read(HERE)
    ]
    known += [(variant, "found") for variant in _read(HERE / "found")]
    return {variant.name: Seed(variant, origin, _parent(variant.name)) for variant, origin in known}


def seed_variants() -> dict[str, Variant]:
    """The sources of all seeds by name."""
    return {name: seed.variant for name, seed in seeds().items()}


def _read(folder: Path) -> Iterator[Variant]:
    return (Variant.from_file(path) for path in sorted(folder.glob(STEM)))


def _parent(name: VariantName) -> VariantName | None:
    return None if name in (BASELINE, REFERENCE) else PARENTS.get(name, BASELINE)
