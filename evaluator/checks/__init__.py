"""Checks of a variant before any training, all made in archer's process with the sandbox as a remote kernel."""

from evaluator.checks.runner import Checking, check

__all__ = ["Checking", "check"]
