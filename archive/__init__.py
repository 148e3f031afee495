"""Proposals and their results as records in a git repository."""
