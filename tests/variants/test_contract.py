"""Which mixer calls a kernel: by the functions that its file defines, or makes by an assignment."""

import pytest

from variants.contract import Layer, Variant

GATED, PLAIN = "gated_delta_rule_chunkwise", "delta_rule_chunkwise"
BOLD = GATED.replace("g", "\N{MATHEMATICAL BOLD SMALL G}")
"""The same name to Python."""


@pytest.mark.parametrize(
    ("source", "layer"),
    [
        (f"def {PLAIN}(q): ...", Layer.DELTA_NET),
        (f"def {GATED}(q): ...", Layer.GATED_DELTA_NET),
        (f"def f(q): ...\n{GATED} = torch.compile(f)", Layer.GATED_DELTA_NET),
        (f"def f(q): ...\nother = {GATED} = f", Layer.GATED_DELTA_NET),
        (f"def f(q): ...\n{GATED}: object = f", Layer.GATED_DELTA_NET),
        (f"def {PLAIN}(q): ...\nx = {GATED}", Layer.DELTA_NET),
        (f"def {PLAIN}(q):\n    {GATED} = 1", Layer.DELTA_NET),
        (f"def {BOLD}(q): ...", Layer.GATED_DELTA_NET),
        (f"# as {GATED}\ndef {PLAIN}(q): ...", Layer.DELTA_NET),
        ("def f(:", Layer.DELTA_NET),
    ],
)
def test_the_layer_is_that_of_the_function_that_the_file_has(source: str, layer: Layer):
    assert Variant(name="x", source=source).layer is layer
