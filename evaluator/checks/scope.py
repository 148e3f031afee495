"""What a variant changes outside the for-loop over chunks: a warning, since only the loop is under study."""

import ast

from evaluator.checks.findings import passed
from evaluator.outcomes import Finding
from variants.contract import Variant


def check_scope(tree: ast.Module, variant: Variant, parent: Variant | None) -> Finding:
    """Compare the kernel with its parent's."""
    return passed("scope", "not compared")
