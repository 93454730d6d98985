"""Learning to find the same coin again: data, augmentation, losses, the training loop, tuning."""
