"""What a proposal is and how it lies on disk; the index of all proposals."""
