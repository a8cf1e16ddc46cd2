"""What follows a run: progress, samples, checkpoints, trackers."""
