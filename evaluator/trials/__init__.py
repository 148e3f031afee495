"""Trials: train in the sandbox, score outside of it; here, grouped, or on a cluster."""
