"""MAD: six synthetic tasks, their difficulty settings, and the four-layer models trained on them (arXiv 2403.17844)."""
