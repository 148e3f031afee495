"""Seed variants that a search found: the files beside this module, byte for byte as the model wrote them.

Each file has the hash that its shipped trials name, so none of them is ever formatted. docs/results/found.md tells what
they are worth.
"""
