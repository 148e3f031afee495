"""The endpoint: transport, retries, streams, faults, and what it accepts."""
