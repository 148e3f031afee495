"""Predictions held against what was measured."""
