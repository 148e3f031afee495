"""One module a command; each reads its options, calls what does the work, and prints."""
