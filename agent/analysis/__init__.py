"""What an archive and the leaderboards say: snapshot, boards, differences, the front, calibration."""
