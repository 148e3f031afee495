"""The evolutionary proposer and its blind control: variation, selection, an estimate of what a child will score."""
