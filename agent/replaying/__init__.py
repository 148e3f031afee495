"""A recorded proposal made again: prompt, reply, file, checks, training, scores; what differs, and why."""
