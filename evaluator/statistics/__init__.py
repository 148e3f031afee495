"""Statistics: scorecards, intervals, the moderated t-test, false discoveries."""
