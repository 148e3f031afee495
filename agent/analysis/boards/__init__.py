"""Leaderboards as values: scores and noise, floors and ceilings, who cannot differ, how far it is to the challenge."""
