"""What is compared with and no search may choose: controls, and the reference in other layers. No archive has them."""

from functools import cache

from variants.contract import REFERENCE, Layer, Variant
from variants.controls import controls
from variants.seeds import seed_variants

WIDE_REFERENCE = "gated_delta_net_4layer_wide"
DRAWN_DECAY_REFERENCE = "gated_delta_net_4layer_drawn_decay"


class WideReference(Variant):
    """A kernel in the wide mixer. It is the class that says so: a file of whatever name is an ordinary variant."""

    @property
    def layer(self) -> Layer:
        """The wide mixer: `evaluator.model.config.WIDE`."""
        return Layer.WIDE_GATED_DELTA_NET


class DrawnDecayReference(Variant):
    """A kernel in the gated mixer whose decay starts where the wide one's does; by its class, too."""

    @property
    def layer(self) -> Layer:
        """The gated mixer of the model's width, A drawn up to 16: `evaluator.model.config.mixer_shape`."""
        return Layer.DRAWN_DECAY_GATED_DELTA_NET


@cache
def outside_archives() -> dict[str, Variant]:
    """Their sources by name."""
    return controls() | other_references()


@cache
def other_references() -> dict[str, Variant]:
    """The reference's kernel in other layers than that of `gated_delta_net_4layer` (docs/results/gated.md), by name.

    The wide one's is what the published reference probably had: 24 times as large as the baseline's of the same model,
    at the published width. The drawn-decay one's is of the baseline's size, and its decay starts as the wide one's.
    """
    source = seed_variants()[REFERENCE].source
    wide, drawn = (
        WideReference(name=WIDE_REFERENCE, source=source),
        DrawnDecayReference(name=DRAWN_DECAY_REFERENCE, source=source),
    )
    return {each.name: each for each in (drawn, wide)}
