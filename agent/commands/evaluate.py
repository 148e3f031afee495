"""`archer evaluate`: check, train and score one variant."""
