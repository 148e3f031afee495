"""What is compared with and no search may choose: the controls, and the wide reference. No archive has them."""

from functools import cache

from variants.contract import REFERENCE, WIDE_REFERENCE, Variant
from variants.controls import controls
from variants.seeds import seed_variants


@cache
def outside_archives() -> dict[str, Variant]:
    """Their sources by name."""
    return controls() | {WIDE_REFERENCE: wide_reference()}


def wide_reference() -> Variant:
    """The reference's kernel in a mixer 24 times as large as the baseline's: `evaluator.model.config.WIDE`.

    The published reference was probably this one (docs/results/gated.md).
    """
    return Variant(name=WIDE_REFERENCE, source=seed_variants()[REFERENCE].source)
