"""What training and data cost, in CPU-seconds on one thread."""
