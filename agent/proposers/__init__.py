"""Proposers: who reads the standings and asks for the next variant to be tried."""
