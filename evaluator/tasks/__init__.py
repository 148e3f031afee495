"""The tasks: their generators, settings, and the streams of random numbers that examples come from."""
