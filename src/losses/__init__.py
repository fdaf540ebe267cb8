"""Segmentation losses: weighted cross entropy, OHEM, and their sum over a network's outputs."""
