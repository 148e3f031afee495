"""What is compared with and no search may choose: the controls, and the wide reference. No archive has them."""

from functools import cache

from variants.contract import REFERENCE, Layer, Variant
from variants.controls import controls
from variants.seeds import seed_variants

WIDE_REFERENCE = "gated_delta_net_4layer_wide"


class WideReference(Variant):
    """A kernel in the wide mixer. It is the class that says so: a file of whatever name is an ordinary variant."""

    @property
    def layer(self) -> Layer:
        """The wide mixer: `evaluator.model.config.WIDE`."""
        return Layer.WIDE_GATED_DELTA_NET


@cache
def outside_archives() -> dict[str, Variant]:
    """Their sources by name."""
    return controls() | {WIDE_REFERENCE: wide_reference()}


def wide_reference() -> WideReference:
    """The reference's kernel in the layer that the published reference probably had (docs/results/gated.md).

    Its mixer is 24 times as large as the baseline's of the same model, at the published width.
    """
    return WideReference(name=WIDE_REFERENCE, source=seed_variants()[REFERENCE].source)
