"""The search: loop, attempts, racing, confirmation, and the evaluation of one variant."""
