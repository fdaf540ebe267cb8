"""Data sets, augmentation, and the loaders that feed training and evaluation."""
