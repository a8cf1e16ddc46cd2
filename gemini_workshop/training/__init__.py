"""From text to a trained model: losses, optimizer, schedule, checkpoints, the loop."""
