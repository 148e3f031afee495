"""Merging another archive into this one."""
