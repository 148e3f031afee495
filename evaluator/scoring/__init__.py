"""Trusted scoring: predictions count only where the future was replaced."""
