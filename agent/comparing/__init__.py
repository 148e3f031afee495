"""Proposers against each other at equal budget."""
