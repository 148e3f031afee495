"""Leaderboards as tables: derived from trials, and as CSV."""
