"""The reply: finding the object in it, reading it, assembling the proposal."""
