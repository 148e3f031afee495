"""Checks, sandbox, MAD tasks, training and trusted scoring of variants."""
