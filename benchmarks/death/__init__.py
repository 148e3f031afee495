"""Kills, full disks and jumping clocks at every moment of archer's commands; `python -m benchmarks.death`."""
