"""Protocols: what they fix, and the ones that come with archer."""
