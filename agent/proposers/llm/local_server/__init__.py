"""A model server of our own on this machine, for `--gguf`."""
