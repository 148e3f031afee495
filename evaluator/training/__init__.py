"""Training, as it runs inside the sandbox."""
