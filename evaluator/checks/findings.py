"""Findings, briefly."""

from collections.abc import Mapping
from typing import Any

from evaluator.outcomes import CheckName, Finding


def passed(check: CheckName, message: str) -> Finding:
    """The check found nothing."""
    return Finding(check=check, status="pass", message=message)


def warned(check: CheckName, message: str, evidence: Mapping[str, Any]) -> Finding:
    """The check found something worth knowing that is no reason to reject."""
    return Finding(check=check, status="warn", message=message, evidence=dict(evidence))


def failed(check: CheckName, message: str, evidence: Mapping[str, Any]) -> Finding:
    """The check found a counterexample."""
    return Finding(check=check, status="fail", message=message, evidence=dict(evidence))
