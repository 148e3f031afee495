"""Findings, briefly."""

import re
from collections.abc import Mapping
from typing import Any

from evaluator.outcomes import CheckName, Finding
from evaluator.sandbox import VariantFailed

LINE = re.compile(r"line (\d+) of the variant")


def passed(check: CheckName, message: str, evidence: Mapping[str, Any] | None = None) -> Finding:
    """The check found nothing; evidence: what it measured, where that is worth keeping."""
    return Finding(check=check, status="pass", message=message, evidence=dict(evidence or {}))


def warned(check: CheckName, message: str, evidence: Mapping[str, Any]) -> Finding:
    """The check found something worth knowing that is no reason to reject."""
    return Finding(check=check, status="warn", message=message, evidence=dict(evidence))


def failed(check: CheckName, message: str, evidence: Mapping[str, Any]) -> Finding:
    """The check found a counterexample."""
    return Finding(check=check, status="fail", message=message, evidence=dict(evidence))


def one_line(error: VariantFailed) -> str:
    """What a failure says, without its line breaks."""
    return " ".join(error.failure.message.split())


def message_and_evidence(error: VariantFailed) -> tuple[str, dict[str, Any]]:
    """A failure in one line, and as evidence what the kernel was called with and the line of its file."""
    message = one_line(error)
    line = LINE.search(message)
    evidence = {**error.call, "line": int(line[1]) if line else None}
    if "dtype" not in evidence:
        return message, evidence
    of = (
        f"{evidence['dtype']} of shape {evidence['shape']} on {evidence['device']}, chunk size {evidence['chunk_size']}"
    )
    return f"{message}, {evidence['during']} with {of}", evidence
