"""Claims of a report, held against the leaderboards."""
