"""One variant evaluated by hand, outside of a search."""
