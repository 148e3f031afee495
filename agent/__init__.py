"""The search loop, the proposers and the command line."""
