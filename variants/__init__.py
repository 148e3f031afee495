"""The kernel contract, the seed variants and the leaderboards; imports nothing else of archer."""
